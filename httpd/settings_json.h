/* httpd/settings_json.h -- one flat JSON object, pair by pair.
 *
 * Context   pure.
 * Tests     test/unit/settings_test.c, test/fuzz/settings_fuzz.c */
#ifndef HTTPD_SETTINGS_JSON_H
#define HTTPD_SETTINGS_JSON_H

#include <stddef.h>

#include "httpd/request.h"
#include "sampler/compiler.h"

/* Set body, len and scratch (as long as body), the rest to zero. */
struct settings_json {
	const char *body;
	size_t      len;
	size_t      at;                 /* how far it was read; behind -1: where it is wrong */
	size_t      key_at;             /* where the last key is */
	char       *scratch;            /* the next free byte: strings are decoded to here */
	const char *error;              /* behind -1: what is wrong */
};

/* 1: a pair; 0: that was all, and nothing but blanks behind it; -1: not such an object. */
MUST_CHECK int settings_json_next(struct settings_json *j, struct request_text *key,
				  struct request_text *value);

#endif
