/* sampler/unwind_memory.h -- which part of the walked stack may be read, and reading it.
 *
 * Context   any, inside handlers.  Never faults, as long as the bounds it was given are true.
 * Order     unwind_memory_enter for the first frame and after every signal frame; then, for each
 *           frame, unwind_memory_frame before its loads and unwind_memory_leave after them. */
#ifndef SAMPLER_UNWIND_MEMORY_H
#define SAMPLER_UNWIND_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* The thread's own stack: with sp in [lo, hi), loads in [sp, hi) need no probe.  Anywhere else, so
 * always where lo or hi is 0, every page is probed and the walk is short (UNKNOWN_WALK_BYTES_MAX).
 * lo is what tells a fiber's stack from the thread's: on the main thread every fiber lies below
 * hi.  It may be generous, as long as nothing else is mapped above it (main thread: hi - 128 MiB,
 * the gap that the kernel leaves). */
struct unwind_stack_bounds {
	uintptr_t lo, hi;
	uintptr_t alt_lo, alt_hi;       /* the alternate signal stack, 0 if none */
	bool      closed;               /* nothing else may be read: it is a copy (parked.h) */
};

/* floor <= mapped, and floor <= limit.  A load is inside [floor, limit) or refused; from mapped on
 * it needs no probe.  On a stack that we do not know, mapped is limit. */
struct unwind_memory {
	const struct unwind_stack_bounds *bounds;
	uintptr_t floor, mapped, limit;
	uintptr_t page_good;    /* the last page that was probed: readable.  0: none */
	bool      known;        /* this is the thread's own stack or its alternate one */
};

/* The walk goes on at sp: find out on which stack that is.  With probe, sp is only somebody's word:
 * ask the kernel about its page too. */
void unwind_memory_enter(struct unwind_memory *m, uintptr_t sp, bool probe);

/* A frame whose stack pointer is sp.  With red_zone (it was interrupted), the bytes below sp that
 * the ABI gives to leaf functions are its too. */
void unwind_memory_frame(struct unwind_memory *m, uintptr_t sp, bool red_zone);

/* True if a frame at sp may have a caller at caller_sp: it is higher, aligned, and within bounds.
 * A frame on a stack that we do not know may have a caller on the thread's own. */
MUST_CHECK bool unwind_memory_leave(struct unwind_memory *m, uintptr_t sp, uintptr_t caller_sp);

/* A cfi_load.  of: struct unwind_memory. */
bool unwind_memory_load(void *of, uintptr_t at, uintptr_t *value);

#endif
