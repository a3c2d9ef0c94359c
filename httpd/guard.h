/* httpd/guard.h -- who may ask: programs of this machine, not web pages.
 *
 * A page in the user's browser can reach a server on 127.0.0.1: by a name of its own that it lets
 * point there (DNS rebinding: then Host is that name), or by a plain cross-site request (then the
 * browser says so in Origin and Sec-Fetch-Site, which no page can forge).  Programs (curl, go tool
 * pprof, scrapers) send neither.
 *
 * Context   pure.
 * Tests     test/unit/guard_test.c */
#ifndef HTTPD_GUARD_H
#define HTTPD_GUARD_H

#include "httpd/address.h"
#include "httpd/request.h"
#include "sampler/compiler.h"

struct guard_verdict {
	int         status;             /* 0: may pass; else 400 or 403 */
	const char *reason;             /* one line for the body; NULL with 0 */
};

/* Judges *r, which came in at *local (what we listen on).
 *
 *   400  HTTP/1.1 without Host, in Go's words
 *   403  local is loopback (not unix), and Host is something else than localhost, 127.0.0.1, [::1]
 *        or the literal we listen on, each with any port or none; exactly, but in any case.  A
 *        Host may be missing in HTTP/1.0: browsers do not speak that
 *   403  Sec-Fetch-Site: cross-site; for methods other than GET and HEAD anything but none and
 *        same-origin
 *   403  Origin, but for a page of our own: http://Host, and Host is one of the names above.  For
 *        any method: a page's GET carries an Origin only when it goes to another origin
 *
 * The token (PPROFSHIM_TOKEN_FILE) is another matter and comes after this. */
MUST_CHECK struct guard_verdict guard_check(const struct request *r, const struct address *local);

#endif
