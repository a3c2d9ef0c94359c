/* sampler/buildid.h -- the GNU build id among the notes of an ELF object.
 *
 * Context   any: pure.
 * Source    gABI "Note Section"; ld(1), --build-id.
 * Tests     test/unit/buildid_test.c */
#ifndef SAMPLER_BUILDID_H
#define SAMPLER_BUILDID_H

#include <stddef.h>
#include <stdint.h>

#include "sampler/limits.h"

/* Looks at notes[0..len) only: the bytes of a PT_NOTE segment, aligned to 4 or 8 in the object.
 * Returns the length of the id, or 0 if there is none; of a longer one the first BUILD_ID_MAX
 * bytes. */
size_t buildid_parse(const uint8_t *notes, size_t len, uint8_t out[BUILD_ID_MAX]);

#endif
