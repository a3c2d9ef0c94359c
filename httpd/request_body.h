/* httpd/request_body.h -- the body of a request, counted or chunked, as its bytes come in.
 *
 * Context   pure: decodes in place, calls memmove only; any split of the bytes gives the same data.
 * Chunks    hexadecimal size, maybe blanks, maybe an extension (dropped), CR LF; trailer fields are
 *           dropped.  A bare LF or CR anywhere in these lines is refused (RFC 9112 erratum 7633).
 * Tests     test/unit/request_test.c, test/fuzz/request_fuzz.c */
#ifndef HTTPD_REQUEST_BODY_H
#define HTTPD_REQUEST_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/request.h"

/* What chunk lines and trailers may take beyond 16 bytes a chunk and twice the data (the bound is
 * Go's, its slack is 16 KiB).  Longer: 400. */
#define REQUEST_BODY_OVERHEAD_MAX 4096

/* Beside REQUEST_MORE and REQUEST_BAD. */
enum {
	REQUEST_BODY_DONE = 1,          /* that was the last byte */
	REQUEST_BODY_LONG = -413,
};

/* A body on its way.  To the outside only a place to keep; zero is not a valid state. */
struct request_body {
	int      state;
	bool     chunked;
	uint64_t left;                  /* data bytes until the end of the chunk, or of the body */
	uint64_t room;                  /* data bytes that may still be announced */
	size_t   overhead;              /* bytes that are no data, less what the data excuses */
};

/* REQUEST_BODY_DONE: there is no body.  REQUEST_MORE: feed request_body_parse.  REQUEST_BODY_LONG:
 * the length is over max. */
MUST_CHECK int request_body_begin(struct request_body *b, const struct request *r, size_t max);

/* Decodes the next *len bytes of the connection, in place: afterwards buf[0..*len) is data of the
 * body.  On REQUEST_MORE all bytes were taken; on REQUEST_BODY_DONE the *rest bytes behind the data
 * are those of the next request.  After a negative status the body is broken: do not call again. */
MUST_CHECK int request_body_parse(struct request_body *b, char *buf, size_t *len, size_t *rest);

#endif
