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
