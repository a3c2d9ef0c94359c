/* sampler/heap.h -- the heap profile: which allocations are sampled, and which of them live.
 *
 * Allocations are sampled as a Poisson process over bytes (mean: the rate): each thread counts down
 * to its next sample.  A sample carries the weight 1/(1-exp(-size/rate)) from the moment it is
 * taken, and takes exactly that away again when it is freed.  A block of no bytes takes nothing of
 * the budget: as in Go it is not seen, but for the rate at which all are.
 *
 * Context   any thread, inside handlers, inside malloc; before init and after a thread's
 *           destructors they do nothing but count down.
 * Order     heap_forget before the real free, heap_sample after the real malloc: between the two a
 *           block's address belongs to nobody (hazards.md 2a). */
#ifndef SAMPLER_HEAP_H
#define SAMPLER_HEAP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/countdown.h"
#include "sampler/self.h"
#include "sampler/generations.h"

/* Counters of a heap site, objects and bytes as pairs.  "raw" is what was sampled, the others what
 * it stands for; objects in units of 1 / RANDOM_WEIGHT_ONE.  in use = allocated - freed: whatever
 * the moment, a number of whole blocks. */
enum heap_value {
	HEAP_ALLOC_OBJECTS, HEAP_ALLOC_BYTES, HEAP_ALLOC_RAW, HEAP_ALLOC_RAW_BYTES,
	HEAP_FREE_OBJECTS, HEAP_FREE_BYTES, HEAP_FREE_RAW, HEAP_FREE_RAW_BYTES,
};

/* Counts the live samples on a page of 4 KiB (pages 4 GiB apart share a cell, so that the cell's
 * number is one shift of the address's low half); 0 says "surely not sampled".  At 255 a cell stays
 * as it is.  By page, because a program frees where it allocates: the cells it asks for are as near
 * to each other as its blocks, and stay in the first-level cache.
 *
 * Free takes 6 instructions.  With page-aligned sampled blocks and a test of the pointer's low bits
 * it would be 3, with small ones aligned and a hashed map for those whose chunk is large 5 or 12,
 * with the map alone 10.  In time the first two are the same in the noise of a busy machine (make
 * bench-heap: floors); but aligned blocks move the host's, cost it memory, and make the sampled
 * call slower, which this does not. */
#define HEAP_PAGE_SHIFT  12
#define HEAP_FILTER_BITS 20
extern HIDDEN _Atomic uint8_t heap_filter[1u << HEAP_FILTER_BITS];
static_assert(HEAP_PAGE_SHIFT + HEAP_FILTER_BITS == 32, "heap_cell needs no mask");

extern struct generations heap_table;

/* 0 or -ENOMEM; then nothing is mapped. */
MUST_CHECK int heap_init(uint64_t budget_bytes);

/* A fork child: only what it allocates itself counts. */
void heap_after_fork(void);

/* Mean bytes between samples; 1: every allocation, 0: off.  A thread follows within
 * HEAP_CHECK_IN_BYTES of its allocations: twice the default rate, as each check-in costs a part of
 * a sample.  Who cannot be sampled yet asks again after HEAP_NOT_YET_BYTES.  Context: the
 * constructor, our thread. */
#define HEAP_CHECK_IN_BYTES (1u << 20)
#define HEAP_NOT_YET_BYTES  (256u << 10)
void heap_set_rate(uint64_t bytes);
uint64_t heap_rate(void);

static inline unsigned heap_cell(const void *p)
{
	return (uint32_t)(uintptr_t)p >> HEAP_PAGE_SHIFT;
}

/* Budget: countdown's.  False: take the slow path, heap_sample. */
static inline bool heap_passes(size_t n)
{
	return !countdown(&self.heap_left, n);
}

/* Budget: a shift and one comparison.  False: heap_forget must be asked. */
static inline bool heap_is_unsampled(const void *p)
{
	bool is;

#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__)
	/* Of an atomic load compilers make an instruction of its own. */
	__asm__("cmpb $0, %1" : "=@cce"(is) : "m"(heap_filter[heap_cell(p)]));
#else
	is = atomic_load_explicit(&heap_filter[heap_cell(p)], memory_order_relaxed) == 0;
#endif
	return likely(is);
}

/* heap_pin was told of p, or of a block on a page that shares its cell. */
static inline bool heap_may_be_pinned(const void *p)
{
	return atomic_load_explicit(&heap_filter[heap_cell(p)], memory_order_relaxed) == UINT8_MAX;
}

/* heap_passes said no: the host now owns p (NULL: the real call failed) of n bytes as it asked for
 * them.  errno is kept. */
void heap_sample(const void *p, size_t n);

/* heap_is_unsampled says no for p from now on, for ever: a block of the doors' own. */
void heap_pin(const void *p);

/* What is known of a sampled block while a realloc decides its fate. */
struct heap_block {
	uint64_t weight, size;
	uint32_t row;           /* 0: it was not sampled */
	uint32_t birth_s;
};

/* Bytes that a block's sample stands for. */
uint64_t heap_weighed_bytes(const struct heap_block *block);
/* When the block was allocated, os_monotonic_ns; at most a second later than it was. */
uint64_t heap_birth_ns(const struct heap_block *block);

/* p is about to be given back: takes its record out and counts it as freed. */
void heap_forget(const void *p);
/* The same in two steps, for realloc: taken out, then either freed or put back. */
void heap_take(const void *p, struct heap_block *out);
void heap_freed(const struct heap_block *block);
void heap_put_back(const void *p, const struct heap_block *block);

#endif
