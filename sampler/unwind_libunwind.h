/* sampler/unwind_libunwind.h -- walking a stack by libunwind, for those who ask for it.
 *
 * libunwind waits: for the loader's lock and for one of its own.  A handler that interrupts, in one
 * thread, what another holds while it waits for the first, hangs the program.  So it is never
 * chosen by us, and a fork child of a program with threads does not use it (preload/libunwind.c).
 *
 * Context   any thread, inside handlers and inside malloc, as far as libunwind may.  All signals
 *           are blocked meanwhile, so that no walk is inside another of the same thread. */
#ifndef SAMPLER_UNWIND_LIBUNWIND_H
#define SAMPLER_UNWIND_LIBUNWIND_H

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/altstack.h"
#include "sampler/regs.h"
#include "sampler/self.h"
#include "sampler/unwind.h"

/* What a tick needs below the kernel's frame with libunwind in it: its walk takes 1.9 KiB where it
 * finds its tables (measured, 1.6.2), and for an object without .eh_frame_hdr a frame of
 * 4.2 KiB more. */
#define UNWIND_LIBUNWIND_WALK_BYTES 8192
#define UNWIND_LIBUNWIND_TICK_BYTES (UNWIND_LIBUNWIND_WALK_BYTES + ALTSTACK_TICK_BYTES)

/* What is used of it. */
struct unwind_libunwind_calls {
	__typeof__(unw_init_local2)     *init;
	__typeof__(unw_step)            *step;
	__typeof__(unw_get_reg)         *get_reg;
	__typeof__(unw_is_signal_frame) *is_signal_frame;
	unw_accessors_t                 *accessors;     /* of its address space */
};

/* Scratch of a walk, of the calling thread. */
struct unwind_libunwind {
	unw_cursor_t  cursor;
	unw_context_t context;
	uintptr_t     sp;               /* where the walk began */
	const struct unwind_stack_bounds *bounds;
};

/* Once, before the rest.  From now on libunwind reads no memory in our walks that the kernel does
 * not say is readable; in the host's own, if it has any, it reads as it always does. */
void unwind_libunwind_init(const struct unwind_libunwind_calls *calls);

/* As unwind_stack. */
enum unwind_end unwind_libunwind(const struct regs *regs, const struct unwind_stack_bounds *bounds,
				 struct unwind_libunwind *work, uintptr_t *pc, unsigned max,
				 unsigned *depth);

/* True inside of it: what doors see then are libunwind's calls, not the host's. */
static inline bool unwind_libunwind_walks(void)
{
	return self.libunwind != NULL;
}

#endif
