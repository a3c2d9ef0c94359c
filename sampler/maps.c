#include "sampler/maps.h"

#include <string.h>

/* A cursor over one line; bad once a byte was not what it had to be. */
struct cursor {
	const char *at, *end;
	bool        bad;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static uint64_t take_number(struct cursor *c, unsigned base)
{
	uint64_t n = 0;
	const char *start = c->at;

	for (; c->at < c->end; c->at++) {
		int digit = hex_digit(*c->at);

		if (digit < 0 || (unsigned)digit >= base)
			break;
		if (n > (UINT64_MAX - (unsigned)digit) / base)
			c->bad = true;
		n = n * base + (unsigned)digit;
	}
	if (c->at == start)
		c->bad = true;
	return n;
}

static void take(struct cursor *c, char byte)
{
	if (c->at < c->end && *c->at == byte)
		c->at++;
	else
		c->bad = true;
}

/* 'r' or '-', say. */
static bool take_flag(struct cursor *c, char set)
{
	bool is_set = c->at < c->end && *c->at == set;

	if (c->at >= c->end || (!is_set && *c->at != '-'))
		c->bad = true;
	else
		c->at++;
	return is_set;
}

static void take_path(struct cursor *c, struct maps_line *out)
{
	static const char gone[] = " (deleted)";
	const size_t gone_len = sizeof(gone) - 1;

	while (c->at < c->end && *c->at == ' ')
		c->at++;
	out->path = c->at;
	out->path_len = (size_t)(c->end - c->at);
	out->deleted = out->path_len > gone_len &&
		       memcmp(c->end - gone_len, gone, gone_len) == 0;
	if (out->deleted)
		out->path_len -= gone_len;
}

long maps_parse_line(const char *buf, size_t len, struct maps_line *out)
{
	const char *newline = memchr(buf, '\n', len);
	struct cursor c = { buf, newline, false };

	if (newline == NULL)
		return 0;
	out->start = take_number(&c, 16);
	take(&c, '-');
	out->limit = take_number(&c, 16);
	take(&c, ' ');
	out->readable = take_flag(&c, 'r');
	out->writable = take_flag(&c, 'w');
	out->executable = take_flag(&c, 'x');
	if (c.at < c.end)
		c.at++;         /* p or s */
	take(&c, ' ');
	out->offset = take_number(&c, 16);
	take(&c, ' ');
	out->dev = take_number(&c, 16) << 32;
	take(&c, ':');
	out->dev |= take_number(&c, 16) & 0xffffffffu;
	take(&c, ' ');
	out->inode = take_number(&c, 10);
	take_path(&c, out);
	if (c.bad || out->start >= out->limit)
		return -1;
	return newline + 1 - buf;
}
