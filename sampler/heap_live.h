/* sampler/heap_live.h -- the sampled blocks that are live, by address.
 *
 * Exact: an address is in it from heap_live_put to heap_live_take.  In front of it stands heap.h's
 * filter, which says "surely not" for nearly every free.
 *
 * Context   any thread, inside handlers; lock-free; writers know nothing of readers.
 * Memory    the budget, touched as it fills; freed entries are used again. */
#ifndef SAMPLER_HEAP_LIVE_H
#define SAMPLER_HEAP_LIVE_H

#include "sampler/heap.h"

/* Of the frees that heap_filter lets through nearly all are of a sampled block's neighbours on its
 * page, one in a hundred at the default rate.  So behind it stands another, by address: a look-up
 * in the table for each would cost every free three instructions. */
extern HIDDEN struct heap_sieve {
	_Atomic uint8_t *cell;          /* live blocks by their hash; as in heap_filter */
	uint32_t         cells;         /* 0: there are none */
} heap_sieve;

static inline uint32_t heap_sieve_at(const void *p)
{
	uint64_t hash = (uint32_t)((uintptr_t)p * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	return (uint32_t)(hash * heap_sieve.cells >> 32);
}

/* Budget: some ten instructions.  True: heap_live_take would find nothing. */
static inline bool heap_live_has_not(const void *p)
{
	return heap_sieve.cells == 0 ||
	       atomic_load_explicit(&heap_sieve.cell[heap_sieve_at(p)], memory_order_relaxed) == 0;
}

enum heap_live_result { HEAP_LIVE_PUT, HEAP_LIVE_REPLACED, HEAP_LIVE_FULL };

/* 0 or -ENOMEM; then nothing is mapped. */
MUST_CHECK int heap_live_init(uint64_t budget_bytes);
void heap_live_free(void);
/* No block is live.  Cells of the filter may still say "maybe". */
void heap_live_clear(void);

/* p is live.  If it was already here, *stale is what was known of it. */
enum heap_live_result heap_live_put(const void *p, const struct heap_block *b,
				    struct heap_block *stale);

/* p is not any more: true and *out, if it was here. */
bool heap_live_take(const void *p, struct heap_block *out);

/* All of them, one by one, while others put and take: each block that stays is at one i below
 * heap_live_end, and whole.  What comes or goes meanwhile may be missing.  False: none is there.
 * Context: our thread. */
size_t heap_live_end(void);
bool heap_live_at(size_t i, struct heap_block *out);

#endif
