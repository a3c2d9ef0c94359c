/* httpd/guard.h -- who may ask: programs of this machine and who has the token, not web pages.
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
#include "httpd/token.h"
#include "sampler/compiler.h"

/* Fixed at the start; all zero is the strictest but for the token. */
struct guard_policy {
	const struct token *token;      /* NULL: none is asked for */
	bool        insecure;           /* without a token, too, other machines may come */
	const char *hosts;              /* further Host names: "a.example,*.b.example"; NULL none */
	const char *origins;            /* of pages that may read: "https://a.example"; NULL none */
};

struct guard_verdict {
	int         status;             /* 0: may pass; else 400, 401 or 403 */
	const char *reason;             /* one line for the body; NULL with 0 */
	bool        is_listed;          /* the request's Origin is one of policy->origins */
};

/* Judges *r, which came in at *local (what we listen on).  In this order:
 *
 *   400  HTTP/1.1 without Host, in Go's words
 *   403  no token is asked for, local is not unix, and Host is neither localhost, 127.0.0.1, [::1],
 *        the literal we listen on, nor one of policy->hosts; where other machines may come, any
 *        literal address will do (it takes a name to rebind).  Each with any port or none;
 *        exactly, but in any case.  A Host may be missing in HTTP/1.0: browsers do not speak that
 *   403  a page asks, and it is not one of policy->origins.  GET and HEAD: Sec-Fetch-Site is
 *        cross-site, or there is an Origin but http://Host, and Host is one of the names above.
 *        Other methods: there is an Origin, or a Sec-Fetch-Site but none.  No page changes
 *        anything, not one from our own address either: that was another program's yesterday
 *   403  a page of policy->origins asks by another method than GET, HEAD and OPTIONS
 *   401  a token is asked for, local is not unix, and the request does not have it.  OPTIONS from
 *        policy->origins need none: a browser asks first, and without it */
MUST_CHECK struct guard_verdict guard_check(const struct request *r, const struct address *local,
					    const struct guard_policy *policy);

/* NULL, or why this address may not be opened (static text). */
MUST_CHECK const char *guard_refuses(const struct address *address,
				     const struct guard_policy *policy);

/* NULL, or the first part of a list of origins that no browser would send: scheme://host, maybe
 * :port, and nothing behind it.  * is none. */
MUST_CHECK const char *guard_bad_origin(const char *origins);

#endif
