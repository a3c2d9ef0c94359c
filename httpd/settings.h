/* httpd/settings.h -- the body of POST /debug/pprof/config -> keys and values.
 *
 *   {"cpu_hz": 250, "heap_rate": "64k"}        a flat JSON object: numbers, strings, true, false
 *   cpu_hz=250&heap_rate=64k                   a form; ; is no separator and not allowed
 *
 * The first byte decides: { begins an object, whatever the Content-Type (curl -d says "form" for
 * everything).  A Content-Type of JSON allows nothing else, one that is neither JSON, form nor text
 * is refused.  A body of blanks has no pairs.
 *
 * Context   pure.
 * Strict    a key comes once; no nesting, no null, no byte behind the end; RFC 8259 numbers.
 * Tests     test/unit/settings_test.c, test/fuzz/settings_fuzz.c */
#ifndef HTTPD_SETTINGS_H
#define HTTPD_SETTINGS_H

#include <stddef.h>

#include "httpd/request.h"
#include "sampler/compiler.h"

#define SETTINGS_MAX 32

struct settings_pair {
	struct request_text key, value; /* decoded; any bytes in a string, also 0 */
};

struct settings {
	size_t               count;
	struct settings_pair pair[SETTINGS_MAX];
	const char          *error;     /* after -EINVAL: what is wrong (static text) */
	size_t               error_at;  /* and where: an offset into the body, <= len */
};

/* Returns how many pairs, or -EINVAL and only error and error_at.  content_type.at may be NULL.
 * Keys and values point into the body or into scratch, which has len bytes or more. */
MUST_CHECK int settings_parse(const char *body, size_t len, struct request_text content_type,
			      char *scratch, struct settings *out);

#endif
