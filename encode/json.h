/* encode/json.h -- text of the host's as a string of JSON (RFC 8259).
 *
 * Context   any; pure. */
#ifndef ENCODE_JSON_H
#define ENCODE_JSON_H

#include "encode/buf.h"

/* "text", in its quotes: control characters, quote and backslash escaped, what is not UTF-8 as
 * U+FFFD.  U+2028 and U+2029 are escaped, too: JavaScript before 2019 ends a line there. */
void json_string(struct buf *b, const char *text);

#endif
