#include "encode/buf.h"

#include <string.h>

void buf_flush(struct buf *b)
{
	if (b->out == NULL)
		return;
	if (b->len > 0)
		sink_write(b->out, b->data, b->len);
	b->len = 0;
}

/* With a sink: makes room, and hands over directly what would not fit into an empty buf. */
static void put_to_sink(struct buf *b, const void *bytes, size_t n)
{
	if (n > b->cap - b->len)
		buf_flush(b);
	if (n > b->cap) {
		sink_write(b->out, bytes, n);
		return;
	}
	memcpy(b->data + b->len, bytes, n);
	b->len += n;
}

void buf_bytes(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	if (b->out != NULL) {
		put_to_sink(b, bytes, n);
		return;
	}
	if (b->len < b->cap) {
		size_t room = b->cap - b->len;

		memcpy(b->data + b->len, bytes, n < room ? n : room);
	}
	b->len += n;
}

void buf_string(struct buf *b, const char *s)
{
	buf_bytes(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
	buf_bytes(b, &c, 1);
}

void buf_repeat(struct buf *b, char c, size_t n)
{
	while (n-- > 0)
		buf_char(b, c);
}

/* v in this base, in at least so many digits. */
static void put_number(struct buf *b, uint64_t v, unsigned base, unsigned digits)
{
	char text[20];          /* 2^64 - 1 in base 10 */
	size_t at = sizeof(text);

	do {
		text[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v > 0);
	while (sizeof(text) - at < digits && at > 0)
		text[--at] = '0';
	buf_bytes(b, text + at, sizeof(text) - at);
}

void buf_unsigned(struct buf *b, uint64_t v)
{
	put_number(b, v, 10, 1);
}

void buf_signed(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_bytes(b, "-", 1);
	put_number(b, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, 1);
}

void buf_padded(struct buf *b, uint64_t v, unsigned digits)
{
	put_number(b, v, 10, digits);
}

void buf_hex(struct buf *b, uint64_t v, unsigned digits)
{
	put_number(b, v, 16, digits);
}

/* How c is written in HTML; NULL: as it is. */
static const char *html_escape(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&#34;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void buf_html(struct buf *b, const char *s)
{
	for (; *s != 0; s++) {
		const char *escape = html_escape(*s);

		if (escape != NULL)
			buf_string(b, escape);
		else
			buf_bytes(b, s, 1);
	}
}

void buf_end(struct buf *b)
{
	b->data[b->len < b->cap ? b->len : b->cap - 1] = '\0';
}
