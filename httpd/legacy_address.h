/* httpd/legacy_address.h -- frames as the bare addresses that gperftools' formats know, and back.
 *
 * There an address is all: no module, no name, no time, and readers ask /pprof/symbol what it was.
 * Where the address does not say it (any more) the profile has another one that no process can
 * have, and that symbol knows again:
 *
 *     16 * N + 8                   the frame N that is no code ("[truncated]"): so that its
 *                                  neighbours, less one and one more, mean the same
 *     1 << 56 | M << 40 | OFFSET   in module M, which is not mapped any more
 *     2 << 56 | ADDRESS            in no module that is known, where there is one now
 *
 * Context   our thread.
 * Tests     test/unit/legacy_address_test.c */
#ifndef HTTPD_LEGACY_ADDRESS_H
#define HTTPD_LEGACY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/exchange.h"
#include "httpd/names.h"
#include "httpd/places.h"

/* place: of the frame. */
uint64_t legacy_address(const struct ground *ground, const struct place *place, frame_t frame);

/* Inside a job.  The function at an address of a profile: one of those above, else what is mapped
 * there now.  False: that is not known. */
bool legacy_address_name(struct exchange *x, uint64_t address, struct names_answer *out);

#endif
