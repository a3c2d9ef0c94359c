/* httpd/put.h -- short text into a given buffer: writes while there is room, counts always.
 *
 * Context   pure.
 * Tests     test/unit/head_test.c, test/unit/address_test.c */
#ifndef HTTPD_PUT_H
#define HTTPD_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct put {
	char  *out;
	size_t cap;
	size_t len;             /* what was put so far; > cap: the end is missing */
};

static inline void put_char(struct put *p, char c)
{
	if (p->len < p->cap)
		p->out[p->len] = c;
	p->len++;
}

static inline void put_bytes(struct put *p, const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_char(p, at[i]);
}

static inline void put_text(struct put *p, const char *text)
{
	put_bytes(p, text, strlen(text));
}

/* value in base 10 or 16, with zeros in front up to so many digits (<= 20). */
static inline void put_number(struct put *p, uint64_t value, unsigned base, unsigned digits)
{
	char reversed[20];
	unsigned n = 0;

	while (value != 0 || n < digits) {
		reversed[n++] = "0123456789abcdef"[value % base];
		value /= base;
	}
	while (n > 0)
		put_char(p, reversed[--n]);
}

/* Closes the text with a 0 that does not count, over its last byte if need be (cap >= 1). */
static inline void put_end(struct put *p)
{
	p->out[p->len < p->cap ? p->len : p->cap - 1] = 0;
}

#endif
