/* sampler/heap_sizes.h -- which row a block of a size counts on.
 *
 * A profile says how large the objects of a stack are.  Most stacks allocate one size, or a few:
 * the first HEAP_SIZES_OWN of a stack have rows of their own.  The others share one with their
 * class, of which there are four to the doubling, so that a stack that reads messages does not fill
 * the table.
 *
 * Context   any thread, inside malloc; between threads_begin and threads_end.
 * Memory    that of shares.h. */
#ifndef SAMPLER_HEAP_SIZES_H
#define SAMPLER_HEAP_SIZES_H

#include <stdint.h>

#include "sampler/generations.h"

#define HEAP_SIZES_OWN 4

/* A size as it is in a key: UINT32_MAX stands for that or more. */
static inline uint32_t heap_sizes_key(uint64_t size)
{
	return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

/* The row for key, whose size is that of the block; 0 when full. */
uint32_t heap_sizes_row(struct generations *g, uint64_t now, const struct site_key *key);

/* The largest size of the class. */
uint32_t heap_sizes_class(uint32_t size);

#endif
