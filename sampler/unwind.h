/* sampler/unwind.h -- from registers to a stack of addresses.
 *
 * Context   any thread, inside handlers and inside malloc.  Never waits, allocates or faults:
 *           each load is inside bounds that are known to be mapped, or was probed.
 * Units     an address is ready for look-up: the exact pc of a frame that was interrupted or is the
 *           kernel's signal trampoline, the return address minus one of every other frame.
 * Order     leaf first. */
#ifndef SAMPLER_UNWIND_H
#define SAMPLER_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/cfi.h"
#include "sampler/regs.h"

/* How unwind_stack takes a step where it has the choice. */
enum unwind_mode {
	UNWIND_AUTO,            /* CFI, then frame pointers */
	UNWIND_FP,              /* frame pointers only */
};

enum unwind_end {
	UNWIND_COMPLETE,        /* reached the outermost frame */
	UNWIND_TRUNCATED,       /* max frames, or nothing said how to go on */
};

/* The thread's own stack: with sp in [lo, hi), loads in [sp, hi) need no probe.  Anywhere else, so
 * always where lo or hi is 0, every page is probed and the walk is short (UNKNOWN_WALK_BYTES_MAX).
 * lo is what tells a fiber's stack from the thread's: on the main thread every fiber lies below
 * hi.  It may be generous, as long as nothing else is mapped above it (main thread: hi - 128 MiB,
 * the gap that the kernel leaves). */
struct unwind_stack_bounds {
	uintptr_t lo, hi;
	uintptr_t alt_lo, alt_hi;       /* the alternate signal stack, 0 if none */
};

/* Walk from *regs (which is used up).  Writes at most max addresses to pc[] and their number to
 * *depth.  work is scratch of the calling thread, so that a handler's own stack stays small. */
enum unwind_end unwind_stack(struct regs *regs, const struct unwind_stack_bounds *bounds,
			     enum unwind_mode mode, struct cfi_work *work,
			     uintptr_t *pc, unsigned max, unsigned *depth);

#endif
