/* httpd/query.h -- one value out of "seconds=30&debug=1", by the rules of Go's Request.FormValue.
 *
 * Context   pure: looks at query[0..len) only, no calls but memchr and memcpy.
 * Pairs     keys are case-sensitive; the first pair of a key wins, even with an empty value; + is
 *           a space, %XX a byte; a pair with a ';' or a bad escape is as if it were not there.
 * Numbers   as strconv.Atoi: one sign, decimal digits, leading zeros welcome; no blanks, hex,
 *           fraction, underscore; 64 bits.
 *
 * Go's parameters in these words (docs/go-contract.md 1.3):
 *
 *   debug             query_int_or(..., "debug", 0), not 0: text
 *   gc                query_int_or(..., "gc", 0) > 0
 *   profile?seconds   n = query_int_or(..., "seconds", 0); n > 0 ? n : 30
 *   heap?seconds      query_int: QUERY_ABSENT a snapshot, QUERY_BAD or n <= 0 an error, else delta
 *
 * Tests     test/unit/query_test.c, test/fuzz/query_fuzz.c */
#ifndef HTTPD_QUERY_H
#define HTTPD_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sampler/compiler.h"

enum { QUERY_BAD = -1, QUERY_ABSENT = 0, QUERY_INT = 1 };

/* Puts the value into out, as much as there is room for, and a 0 behind it (cap >= 1).  Returns its
 * whole length (>= cap: cut short), or -1 if there is no such key.  A value can hold any byte, also
 * a 0. */
MUST_CHECK ssize_t query_find(const char *query, size_t len, const char *key, char *out,
			      size_t cap);

/* QUERY_INT and *out; QUERY_ABSENT: no such key, or no value; QUERY_BAD: not a Go integer. */
MUST_CHECK int query_int(const char *query, size_t len, const char *key, int64_t *out);

/* The integer, or otherwise if it is absent or bad. */
int64_t query_int_or(const char *query, size_t len, const char *key, int64_t otherwise);

/* A pair as it is written: still encoded, maybe with bad escapes. */
struct query_pair {
	const char *key, *value;        /* never NULL */
	size_t      key_len, value_len;
};

/* Takes the next pair from *at on, stepping over empty ones.  False at the end. */
bool query_next(const char *query, size_t len, size_t *at, struct query_pair *pair);

/* The value of a hexadecimal digit, or -1. */
int query_hex(char c);

/* Takes one decoded byte, 0..255, from text[*at]; -1 for a bad escape.  *at < len. */
int query_byte(const char *text, size_t len, size_t *at, bool plus_is_space);

/* Decodes all of text, writes at most cap bytes of it and no 0 behind.  Returns the whole length,
 * never over len, or -1 for a bad escape. */
MUST_CHECK ssize_t query_decode(const char *text, size_t len, bool plus_is_space, char *out,
				size_t cap);

#endif
