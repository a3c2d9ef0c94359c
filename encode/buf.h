/* encode/buf.h -- text put together from pieces: without stdio, without an allocation.
 *
 * There are two kinds.  A bounded one writes while there is room and counts always, so len is the
 * size that was needed: ask buf_fits once, at the end.  One with a sink hands its bytes over when
 * it is full and never overflows: call buf_flush once, at the end.
 *
 *   len <= cap    always, for a buf with a sink
 *   buf_fits(b)   data[0..len) is the whole text (no 0 is added)
 *
 * Context   any; pure.
 * Memory    the caller's. */
#ifndef ENCODE_BUF_H
#define ENCODE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encode/sink.h"

struct buf {
	char        *data;
	size_t       cap;
	size_t       len;
	struct sink *out;       /* NULL: bounded */
};

static inline struct buf buf_bounded(char *data, size_t cap)
{
	return (struct buf){ .data = data, .cap = cap };
}

static inline struct buf buf_to_sink(char *data, size_t cap, struct sink *out)
{
	return (struct buf){ .data = data, .cap = cap, .out = out };
}

static inline bool buf_fits(const struct buf *b)
{
	return b->len <= b->cap;
}

void buf_bytes(struct buf *b, const void *bytes, size_t n);
void buf_string(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
/* n times the same byte. */
void buf_repeat(struct buf *b, char c, size_t n);

void buf_unsigned(struct buf *b, uint64_t v);
void buf_signed(struct buf *b, int64_t v);
/* With zeroes in front up to so many digits, digits <= 20. */
void buf_padded(struct buf *b, uint64_t v, unsigned digits);
/* Lower case, no 0x; zeroes in front up to so many digits, digits <= 16. */
void buf_hex(struct buf *b, uint64_t v, unsigned digits);

/* s with & < > " ' written as &amp; &lt; &gt; &#34; &#39;, as Go's html/template does. */
void buf_html(struct buf *b, const char *s);

/* Bounded: ends the text with a 0 that does not count, over its last byte if need be (cap >= 1). */
void buf_end(struct buf *b);

/* Hands what is left to the sink.  Nothing to do for a bounded one. */
void buf_flush(struct buf *b);

#endif
