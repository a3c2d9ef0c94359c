/* httpd/address_literal.h -- 127.0.0.1 and ::1 as text and as bytes in network order.
 *
 * Context   pure.
 * Strict    dotted quads have four decimal parts without leading zeros ("010" is 8 to some); ::
 *           stands for at least one group; no %zone.
 * Tests     test/unit/address_test.c, against libc's inet_pton and inet_ntop. */
#ifndef HTTPD_ADDRESS_LITERAL_H
#define HTTPD_ADDRESS_LITERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encode/buf.h"
#include "sampler/compiler.h"

/* All of text[0..len) is the address; out is only of use on true. */
MUST_CHECK bool address_literal_parse_v4(const char *text, size_t len, uint8_t out[4]);
MUST_CHECK bool address_literal_parse_v6(const char *text, size_t len, uint8_t out[16]);

void address_literal_put_v4(struct buf *p, const uint8_t bytes[4]);
/* As RFC 5952 wants it: lower case, the first longest run of zero groups as ::, ::ffff:1.2.3.4. */
void address_literal_put_v6(struct buf *p, const uint8_t bytes[16]);

#endif
