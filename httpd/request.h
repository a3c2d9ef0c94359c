/* httpd/request.h -- the bytes of a client -> struct request.  Its path and its body have files of
 * their own: request_path.h, request_body.h.
 *
 * Context   pure: looks at the bytes it is given, calls memory functions only.
 * Keeps     results point into those bytes and live as long as they do.
 * Result    a length, REQUEST_MORE, or a negative HTTP status: what to answer before closing the
 *           connection (after a framing error nobody knows where the next request starts).
 *
 * Read as Go's net/http reads, but where that is laxer than RFC 9112 in a way that lets two servers
 * see two different requests:
 *
 *   a bare LF ends a line of the head (as Go, RFC 9112 2.2); in chunk lines it is an error (as Go)
 *   one empty line before the request line is skipped
 *   refused with 400: folded lines; blanks around a field name; control characters; a second Host,
 *       Origin, Authorization, ...; Content-Length with a sign, blank or comma, or two that differ;
 *       Content-Length beside Transfer-Encoding (Go drops the length); Transfer-Encoding in
 *       HTTP/1.0 (Go ignores it); user@ in a target (Go drops it); a bad escape in the path
 *   501 any Transfer-Encoding but one "chunked"; 505 well-formed versions other than 1.x;
 *       417 any Expect but 100-continue
 *
 * An answer is final: once a prefix of the bytes is refused, more bytes never change the answer.
 *
 * Tests     test/unit/request_test.c, test/fuzz/request_fuzz.c */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* Request line and header fields together.  Longer: 431, or 414 if it is all one line. */
#define REQUEST_HEAD_MAX 8192

enum {
	REQUEST_MORE        = 0,        /* the bytes are a good beginning */
	REQUEST_BAD         = -400,
	REQUEST_TARGET_LONG = -414,
	REQUEST_EXPECT      = -417,
	REQUEST_HEAD_LONG   = -431,
	REQUEST_CODING      = -501,
	REQUEST_VERSION     = -505,
};

struct request_text {
	const char *at;                 /* NULL: there is none (and len is 0) */
	size_t      len;
};

struct request {
	struct request_text method;     /* any token: 405 is the router's */
	struct request_text path;       /* as sent, escapes good; "/..." or, for OPTIONS, "*" */
	struct request_text query;      /* behind the first ?; never NULL */
	struct request_text authority;  /* of http://authority/path; NULL in the usual form */

	/* Header fields without blanks around.  NULL: not sent. */
	struct request_text host;       /* HTTP/1.1 needs it: the guard says so */
	struct request_text origin, fetch_site, authorization, content_type;

	bool     http10;                /* 1.0; all later 1.x are served as 1.1 */
	bool     close;                 /* close the connection after the answer */
	bool     expect_continue;       /* the client waits for "100 Continue", there is a body */
	bool     chunked;               /* never together with has_length */
	bool     has_length;
	uint64_t length;                /* 0 without has_length */
	bool     says_close, says_keep; /* words of Connection; what they mean is in close */
};

/* Returns the length of the head (1..REQUEST_HEAD_MAX), REQUEST_MORE or a negative status; *out is
 * complete on a length only. */
MUST_CHECK int request_parse(const char *buf, size_t len, struct request *out);

/* The host that is asked: of the target if it has one (RFC 9112 3.2.2), else of the field. */
struct request_text request_host(const struct request *r);

/* True if text is this lower-case word, in any case. */
bool request_text_is(struct request_text text, const char *lower);

#endif
