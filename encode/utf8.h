/* encode/utf8.h -- text that every receiver accepts.
 *
 * Names of files, symbols and threads are bytes of the host's choosing; a profile with one invalid
 * byte in it is refused as a whole.
 *
 * Context   any; pure. */
#ifndef ENCODE_UTF8_H
#define ENCODE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* U+FFFD: what stands for a byte that is none. */
#define UTF8_INSTEAD "\xef\xbf\xbd"

/* utf8_copy turns n bytes into at most so many. */
#define UTF8_COPY_MAX(n) (3 * (n))

/* The length of the character that s[0..n) begins with, n > 0; 0 if it is none. */
size_t utf8_character(const char *s, size_t n);

/* True if s[0..n) is UTF-8 as RFC 3629 has it: shortest forms, no surrogates, up to U+10FFFF. */
bool utf8_valid(const char *s, size_t n);

/* Copies s[0..n) to out, each byte that is no part of a valid character as U+FFFD.  Returns the
 * length of the copy, <= UTF8_COPY_MAX(n); no 0 is added. */
size_t utf8_copy(char *out, const char *s, size_t n);

/* How many characters s[0..n) has, an invalid byte counting as one: its width in a column. */
size_t utf8_count(const char *s, size_t n);

#endif
