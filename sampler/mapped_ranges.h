/* sampler/mapped_ranges.h -- live ranges of addresses, no two of which overlap, by their start.
 *
 * A skip list: as quick as a tree, and its order is kept without a recursion.  Zeroed memory is an
 * empty one.
 *
 * Context   one caller at a time (mapped.c); pure.
 * Memory    the caller's: mapped_ranges_bytes.
 * When full mapped_ranges_add says so; a range that is cut in two loses the upper part, which
 *           counts as gone. */
#ifndef SAMPLER_MAPPED_RANGES_H
#define SAMPLER_MAPPED_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* Each holds a quarter of the one below: good for 4^8 ranges, the kernel's own limit
 * (vm.max_map_count). */
#define MAPPED_LEVELS 8

struct mapped_range {
	uintptr_t start, end;
	uint64_t  born;                 /* ticket of its event */
	uint32_t  row;                  /* of its site */
	uint32_t  object;               /* its parts have this in common */
	uint32_t  next[MAPPED_LEVELS];  /* 0: none.  [0] of one that is free: the next free one */
};

struct mapped_ranges {
	struct mapped_range *range;     /* [0] is the head */
	uint32_t            *parts;     /* of an object; of a free one: the next free one */
	uint32_t             max;       /* ranges, and objects */
	uint32_t             used, free;                /* ranges: handed out so far, given back */
	uint32_t             objects_used, objects_free;
	uint32_t             live;
	uint64_t             bytes;     /* of all of them */
	/* A part of this row's has gone, and objects with it: 0 or 1. */
	void (*gone)(uint32_t row, unsigned objects, uint64_t bytes);
};

/* Bytes for so many ranges. */
#define MAPPED_RANGE_BYTES (sizeof(struct mapped_range) + sizeof(uint32_t))

/* memory: (max + 1) * MAPPED_RANGE_BYTES, zeroed. */
void mapped_ranges_init(struct mapped_ranges *r, void *memory, uint32_t max,
			void (*gone)(uint32_t row, unsigned objects, uint64_t bytes));

/* What is in [start, end) and was born before this is gone. */
void mapped_ranges_remove(struct mapped_ranges *r, uintptr_t start, uintptr_t end, uint64_t before);

/* Nothing is in [start, end).  False: there is no room. */
MUST_CHECK bool mapped_ranges_add(struct mapped_ranges *r, uintptr_t start, uintptr_t end,
				  uint32_t row, uint64_t born);

/* How many bytes of [start, end) are live. */
uint64_t mapped_ranges_in(const struct mapped_ranges *r, uintptr_t start, uintptr_t end);

#endif
