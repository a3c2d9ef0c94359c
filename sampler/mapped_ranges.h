/* sampler/mapped_ranges.h -- live ranges of addresses, no two of which overlap, by their start.
 *
 * A skip list: as quick as a tree, and its order is kept without a recursion.  Zeroed memory is an
 * empty one.
 *
 * Who works at it may be left at any instruction (hold.h).  So each change, of ranges and what is
 * counted for them, is written down as a whole before it is made, and made again if nobody said
 * that it was; and the links, of which nothing is certain then, are made anew from the ranges.
 *
 * Context   one caller at a time (mapped.c); pure.
 * Memory    the caller's: mapped_ranges_bytes.
 * When full mapped_ranges_add says so; a range that is cut in two loses the upper part, which
 *           counts as gone. */
#ifndef SAMPLER_MAPPED_RANGES_H
#define SAMPLER_MAPPED_RANGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* Each holds a quarter of the one below: good for 4^8 ranges, the kernel's own limit
 * (vm.max_map_count). */
#define MAPPED_LEVELS 8

struct mapped_range {
	uintptr_t start, end;           /* end 0: it is free */
	uint64_t  born;                 /* number of its event */
	uint32_t  row;                  /* of its site */
	uint32_t  object;               /* its parts have this in common */
	uint32_t  next[MAPPED_LEVELS];  /* 0: none.  [0] of one that is free: the next free one */
};

/* Objects and bytes that were added to a row, and that are gone from it. */
#define MAPPED_RANGES_VALUES 4

/* What a change has to do with the world.  All but the first may be said again. */
struct mapped_ranges_world {
	void (*read)(uint32_t row, uint64_t value[MAPPED_RANGES_VALUES]);
	void (*raise)(uint32_t row, const uint64_t value[MAPPED_RANGES_VALUES]);
	void (*done)(uint64_t event);
};

/* How it is afterwards. */
struct mapped_change {
	_Atomic bool decided;           /* it will be, whatever happens */
	uint32_t  range, other;         /* 0: none */
	uint32_t  row;
	uintptr_t start, end, other_end;
	uint64_t  value[MAPPED_RANGES_VALUES];
	uint64_t  event;                /* its number + 1, if it is done with this; 0 none */
};

struct mapped_ranges {
	struct mapped_range *range;     /* [0] is the head */
	uint32_t            *parts;     /* of an object; of a free one: the next free one */
	uint32_t             max;       /* ranges, and objects */
	uint32_t             used, free;                /* ranges: handed out so far, given back */
	uint32_t             objects_used, objects_free;
	uint32_t             live;
	uint64_t             bytes;     /* of all of them */
	_Atomic bool         broken;    /* somebody was left at his work: only mend */
	uint64_t             mended;    /* how far it is */
	struct mapped_change change;
	const struct mapped_ranges_world *world;
};

/* Bytes for so many ranges. */
#define MAPPED_RANGE_BYTES (sizeof(struct mapped_range) + sizeof(uint32_t))

/* memory: (max + 1) * MAPPED_RANGE_BYTES, zeroed. */
void mapped_ranges_init(struct mapped_ranges *r, void *memory, uint32_t max,
			const struct mapped_ranges_world *world);

/* What is in [start, end) and was born before this is gone. */
void mapped_ranges_remove(struct mapped_ranges *r, uintptr_t start, uintptr_t end, uint64_t before);

/* Nothing is in [start, end).  Its event is its birth, and done with this.  False: there is no
 * room, so it was added and is gone. */
MUST_CHECK bool mapped_ranges_add(struct mapped_ranges *r, uintptr_t start, uintptr_t end,
				  uint32_t row, uint64_t event);

/* Who was here before was left: until it is mended nothing else may be called. */
void mapped_ranges_break(struct mapped_ranges *r);
/* Looks at so many ranges; r->broken says whether there is more to do. */
void mapped_ranges_mend(struct mapped_ranges *r, unsigned max);

/* How many bytes of [start, end) are live. */
uint64_t mapped_ranges_in(const struct mapped_ranges *r, uintptr_t start, uintptr_t end);

/* --- between mapped_ranges.c and mapped_mend.c ------------------------------------------------ */

/* Into the list; what is not there is given back, and an object that has no part. */
void mapped_ranges_link(struct mapped_ranges *r, uint32_t i);
void mapped_ranges_give(struct mapped_ranges *r, uint32_t i);
void mapped_ranges_give_object(struct mapped_ranges *r, uint32_t i);
/* The change that is decided, once more or for the first time. */
void mapped_ranges_redo(struct mapped_ranges *r);

#endif
