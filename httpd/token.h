/* httpd/token.h -- the secret of PPROFSHIM_TOKEN_FILE, and whether a request knows it.
 *
 * The file's first line, without its end of line: 16 to 256 characters of printable ASCII, no
 * blanks.  It is read once, with the rights that the program was started with; what the program
 * gives up later is not asked for again.  Memory of its own, which core dumps leave out.
 *
 * Comparing takes as many instructions whatever the secret is and whatever was sent: all 256 bytes
 * are looked at, with zeros behind the shorter one.  Only how long the client's own text is shows
 * in the time, and that the client knows.
 *
 * Context   token_read: the constructor.  The rest is pure.
 * Tests     test/unit/token_test.c */
#ifndef HTTPD_TOKEN_H
#define HTTPD_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "httpd/request.h"

#define TOKEN_MIN 16
#define TOKEN_MAX 256

/* Nobody knows one that is all zero. */
struct token {
	char bytes[TOKEN_MAX];          /* zeros behind it */
};

/* NULL, or what is wrong with the file (static text); then *out is all zero. */
MUST_CHECK const char *token_read(const char *path, struct token *out);

/* True if the value of an Authorization header has the token: "Bearer TOKEN", or "Basic" with any
 * user and the token as the password, so that http://user:TOKEN@host/ is a way to say it. */
MUST_CHECK bool token_is_in(const struct token *token, struct request_text authorization);

#endif
