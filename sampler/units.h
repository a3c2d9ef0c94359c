/* sampler/units.h -- "512k", "100": the numbers of options and settings.
 *
 * Context   any: pure arithmetic, no calls.
 * Input     text[0..len), the whole of it: no sign, no blanks, no fraction.
 * Result    0, -EINVAL (not of this form) or -ERANGE (does not fit); *out is written on 0 only.
 * Tests     test/unit/units_test.c */
#ifndef SAMPLER_UNITS_H
#define SAMPLER_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* Decimal digits. */
MUST_CHECK int units_parse_uint(const char *text, size_t len, uint64_t *out);

/* Bytes: digits, then nothing or k, m or g (K, M, G: the same powers of 1024), then nothing, B or
 * iB.  "512k", "512KiB" and "524288B" are equal. */
MUST_CHECK int units_parse_size(const char *text, size_t len, uint64_t *out);

/* Nanoseconds: digits, then nothing, ns, us, ms or s. */
MUST_CHECK int units_parse_time(const char *text, size_t len, uint64_t *out);

#endif
