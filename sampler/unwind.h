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
#include "sampler/ranges.h"
#include "sampler/regs.h"
#include "sampler/rows.h"
#include "sampler/unwind_memo.h"
#include "sampler/unwind_memory.h"

/* How unwind_stack takes a step where it has the choice. */
enum unwind_mode {
	UNWIND_AUTO,            /* CFI, then frame pointers */
	UNWIND_FP,              /* frame pointers only */
	UNWIND_LIBUNWIND,       /* not by unwind_stack: unwind_libunwind.h */
};

enum unwind_end {
	UNWIND_COMPLETE,        /* reached the outermost frame */
	UNWIND_TRUNCATED,       /* max frames, or nothing said how to go on */
};

/* Where the last look-up of a rule was, and what it needed of the tables: one cache line.  Only of
 * an object that can never be unloaded: its rows stay for ever. */
struct unwind_near {
	uintptr_t   start, limit;       /* the code */
	uintptr_t   image;
	struct rows rows;
};

static inline bool unwind_is_near(const struct unwind_near *near, uintptr_t pc)
{
	return pc - near->start < near->limit - near->start;
}

/* Scratch for one walk, two thousand bytes: too much for a signal stack. */
struct unwind_work {
	_Alignas(64) struct unwind_near near;
	struct cfi_work cfi;
	struct regs     begin;          /* where the walk began */
	struct range    range;
	struct unwind_walk {
		struct regs         *regs;
		struct unwind_work  *work;
		struct unwind_memo  *memo;      /* NULL: without, or no more */
		struct unwind_memory memory;
		uintptr_t           *pc;        /* the stack so far: */
		unsigned             n, max;
		struct unwind_memo_frame frame;
		uintptr_t            way;       /* to the present frame (unwind_memo.h) */
		enum unwind_mode     mode;
		bool                 first;
		bool                 kept;      /* the present frame is in the memo */
		bool                 exact;     /* pc was interrupted; else it is a return
						 * address */
		bool                 vouched;   /* pc was found to be code before the step */
		bool                 described; /* this frame has a row: rbp need not be a frame
						 * pointer */
		bool                 precise;   /* take no rules */
		bool                 took_rules;
		bool                 misses_register;   /* a row could not be applied behind
							 * rules */
	} walk;
};

/* Walk from *regs (which is used up).  Writes at most max addresses to pc[] and their number to
 * *depth.  work is scratch of the calling thread, so that a handler's own stack stays small; memo
 * is what it remembers of its last stack (NULL: nothing). */
enum unwind_end unwind_stack(struct regs *regs, const struct unwind_stack_bounds *bounds,
			     enum unwind_mode mode, struct unwind_work *work,
			     struct unwind_memo *memo, uintptr_t *pc, unsigned max,
			     unsigned *depth);

#endif
