/* httpd/legacy_scale.h -- what the row of a heap_v2 profile must say for its reader to make of it
 * what was estimated.
 *
 * A reader knows one rate for all rows, and the mean size of a row's objects: it multiplies by
 * 1 / (1 - exp(-mean size / rate)).  Where all of a row was sampled at that rate, and of one size,
 * it must be told just what was sampled.  Otherwise something else: rows have been put together
 * ([evicted]), or the rate was another one for a time.
 *
 * Context   any; pure.
 * Tests     test/unit/legacy_scale_test.c */
#ifndef HTTPD_LEGACY_SCALE_H
#define HTTPD_LEGACY_SCALE_H

#include <stdbool.h>
#include <stdint.h>

struct legacy_scale {
	int64_t objects, bytes;         /* of the samples */
};

/* *row comes as what was sampled.  weight: objects in units of 1 / RANDOM_WEIGHT_ONE, and their
 * bytes, as estimated; where either is 0 or less, row is all 0 then.  False: no whole number of
 * samples says it but to one in LEGACY_SCALE_NEAR. */
#define LEGACY_SCALE_NEAR 50
bool legacy_scale(struct legacy_scale *row, int64_t weight, int64_t bytes, uint64_t rate_bytes);

#endif
