/* One state per place in the grammar, one byte per step, but for data: so a line may be cut
 * anywhere, and nothing is kept of it but numbers. */
#include "httpd/request_body.h"

#include <string.h>

#include "httpd/query.h"

enum {
	BODY_DATA,
	BODY_DATA_CR,           /* behind the data of a chunk */
	BODY_DATA_LF,
	BODY_SIZE,              /* before the first digit */
	BODY_SIZE_MORE,
	BODY_SIZE_BLANK,
	BODY_EXTENSION,
	BODY_SIZE_LF,
	BODY_TRAILER,           /* at the start of a line */
	BODY_TRAILER_TEXT,
	BODY_TRAILER_LF,
	BODY_LAST_LF,
	BODY_END,
};

int request_body_begin(struct request_body *b, const struct request *r, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->chunked = r->chunked;
	b->room = max;
	b->state = BODY_SIZE;
	if (b->chunked)
		return REQUEST_MORE;
	if (r->length > max)
		return REQUEST_BODY_LONG;
	b->left = r->length;
	b->state = b->left > 0 ? BODY_DATA : BODY_END;
	return b->left > 0 ? REQUEST_MORE : REQUEST_BODY_DONE;
}

/* 1: taken, 0: not a digit. */
static int size_digit(struct request_body *b, char c)
{
	int digit = query_hex(c);

	if (digit < 0)
		return 0;
	if (b->left > UINT64_MAX / 16)
		return REQUEST_BAD;
	b->left = b->left * 16 + (uint64_t)digit;
	b->state = BODY_SIZE_MORE;
	return 1;
}

/* The size line is complete. */
static int begin_chunk(struct request_body *b)
{
	if (b->left > b->room)
		return REQUEST_BODY_LONG;
	b->room -= b->left;
	if (b->overhead < 16 || (b->overhead - 16) / 2 < b->left)
		b->overhead = 0;
	else
		b->overhead -= 16 + 2 * (size_t)b->left;
	b->state = b->left > 0 ? BODY_DATA : BODY_TRAILER;
	return 0;
}

static int expect(struct request_body *b, char c, char wanted, int next)
{
	b->state = next;
	return c == wanted ? 0 : REQUEST_BAD;
}

/* Text of a line that is not looked at, up to its CR. */
static int skip(struct request_body *b, char c, int next)
{
	if (c == '\r')
		b->state = next;
	else if (((unsigned char)c < ' ' && c != '\t') || c == 127)
		return REQUEST_BAD;
	return 0;
}

/* Takes a byte that is not data. */
static int step(struct request_body *b, char c)
{
	int digit;

	if (++b->overhead > REQUEST_BODY_OVERHEAD_MAX)
		return REQUEST_BAD;
	switch (b->state) {
	case BODY_DATA_CR:
		return expect(b, c, '\r', BODY_DATA_LF);
	case BODY_DATA_LF:
		return expect(b, c, '\n', BODY_SIZE);
	case BODY_SIZE:
	case BODY_SIZE_MORE:
		digit = size_digit(b, c);
		if (digit != 0 || b->state == BODY_SIZE)
			return digit > 0 ? 0 : REQUEST_BAD;
		/* fall through */
	case BODY_SIZE_BLANK:
		b->state = c == ';' ? BODY_EXTENSION : c == '\r' ? BODY_SIZE_LF : BODY_SIZE_BLANK;
		return c == ';' || c == '\r' || c == ' ' || c == '\t' ? 0 : REQUEST_BAD;
	case BODY_EXTENSION:
		return skip(b, c, BODY_SIZE_LF);
	case BODY_SIZE_LF:
		return c == '\n' ? begin_chunk(b) : REQUEST_BAD;
	case BODY_TRAILER:
		b->state = BODY_TRAILER_TEXT;
		return skip(b, c, BODY_LAST_LF);
	case BODY_TRAILER_TEXT:
		return skip(b, c, BODY_TRAILER_LF);
	case BODY_TRAILER_LF:
		return expect(b, c, '\n', BODY_TRAILER);
	default:
		return expect(b, c, '\n', BODY_END);
	}
}

int request_body_parse(struct request_body *b, char *buf, size_t *len, size_t *rest)
{
	size_t in = 0, out = 0;
	int err = 0;

	while (in < *len && b->state != BODY_END && err == 0) {
		size_t n = *len - in;

		if (b->state != BODY_DATA) {
			err = step(b, buf[in++]);
			continue;
		}
		if (n > b->left)
			n = (size_t)b->left;
		memmove(buf + out, buf + in, n);
		in += n;
		out += n;
		b->left -= n;
		if (b->left == 0)
			b->state = b->chunked ? BODY_DATA_CR : BODY_END;
	}
	*rest = *len - in;
	memmove(buf + out, buf + in, *rest);
	*len = out;
	if (err != 0)
		return err;
	return b->state == BODY_END ? REQUEST_BODY_DONE : REQUEST_MORE;
}
