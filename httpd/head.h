/* httpd/head.h -- status line and header fields of an answer: Go's, and Cache-Control: no-store.
 *
 * Context   pure.
 * Fields    in this order, as they apply:
 *
 *   Access-Control-...        allow_origin, and preflight
 *   Allow                     allow
 *   Cache-Control: no-store   always
 *   Content-Disposition       filename: attachment; filename="..."; " and \ are escaped, control
 *                             characters become _ (Go inserts the name as it is)
 *   Content-Type              content_type
 *   Location                  location, and ?query; bytes that may not stand in a path are escaped
 *   Vary: Origin              varies
 *   WWW-Authenticate          with status 401: Basic, which a browser can ask its user for
 *   X-Content-Type-Options    nosniff, but for redirects
 *   X-Go-Pprof: 1             pprof_error
 *   Date                      always
 *   Content-Length            length >= 0
 *   Connection                close in HTTP/1.1, keep-alive in HTTP/1.0, nothing where it is usual
 *   Transfer-Encoding         chunked, with HEAD_LENGTH_UNKNOWN in HTTP/1.1
 *
 * There is never a Content-Encoding: that the body is gzip data is the file format.
 *
 * Tests     test/unit/head_test.c */
#ifndef HTTPD_HEAD_H
#define HTTPD_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/request.h"
#include "sampler/compiler.h"

/* The body comes in chunks; in HTTP/1.0, up to the end of the connection: close it behind. */
#define HEAD_LENGTH_UNKNOWN (-1)

/* What a client with Expect: 100-continue is sent before its body. */
#define HEAD_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* Zero is "not there", but for status and length. */
struct head {
	int                 status;
	bool                http10;             /* answer in the version of the request */
	bool                close;
	bool                pprof_error;        /* an error that pprof clients may show */
	const char         *content_type;
	struct request_text filename;           /* without directory; the name of a profile */
	const char         *allow;              /* with 405: "GET, HEAD" */
	struct request_text location, query;    /* with 301, 307: as request_path gave it */
	struct request_text allow_origin;       /* a page of this one may read the answer; it has
						 * the bytes of an origin only */
	bool                preflight;          /* a browser asks what such a page may do */
	bool                varies;             /* with the origin */
	int64_t             length;             /* of the body, also of one not sent (HEAD) */
	int64_t             date_s;             /* Unix time */
};

/* Writes all of it, with the empty line, at most cap bytes and no 0.  Returns the length needed. */
size_t head_write(const struct head *head, char *out, size_t cap);

/* The value of Location: what may not stand there is escaped. */
struct buf;
void head_location(struct buf *p, struct request_text path, struct request_text query);

/* "Method Not Allowed", "Status" for a number nobody knows. */
const char *head_reason(int status);

#endif
