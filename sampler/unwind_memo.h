/* sampler/unwind_memo.h -- a thread's last stack, kept to be recognised in the next one.
 *
 * Two stacks of a thread mostly differ near the leaf only.  Where a walk arrives at a frame that is
 * in the memo (same pc, stack and frame pointer), each frame further out is the same too as long as
 * what was loaded from the stack on the way there is still in place: a rule depends on the pc
 * alone.  So the rest of the walk is comparing, not looking up rules.
 *
 * Only frames on the thread's own stack are kept, that were called (not interrupted) and whose
 * frame pointer is known.
 *
 * Context   the thread that owns it, one walk at a time; a walk that is left by a jump forgets it.
 * When full the outermost frames are not kept.
 * Source    unwinding.md 3c. */
#ifndef SAMPLER_UNWIND_MEMO_H
#define SAMPLER_UNWIND_MEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* A frame, and the way to it from the one before. */
struct unwind_memo_frame {
	uintptr_t sp, pc, bp;
	uintptr_t way;          /* where bp was loaded from; 0: it was not */
};

/* The frame before it is not in the memo, or loads cannot tell that the way is the same. */
#define UNWIND_MEMO_APART ((uintptr_t)1)

/* sp was loaded too: `below` bytes below where bp was, a multiple of 8 of at most 18 bits. */
#define UNWIND_MEMO_BOTH       ((uintptr_t)2)
#define UNWIND_MEMO_BELOW_BIT  45
static inline uintptr_t unwind_memo_both(uintptr_t bp_at, uintptr_t below)
{
	return bp_at | UNWIND_MEMO_BOTH | below << UNWIND_MEMO_BELOW_BIT;
}

/* frame[first, max): the last stack, sp ascending.  During a walk frame[place, max) is what may
 * still be met of it, and fresh_frame[0, fresh) the present one so far. */
struct unwind_memo {
	struct unwind_memo_frame *frame;        /* of the owner, kept: max of them */
	struct unwind_memo_frame *fresh_frame;  /* max of them during a walk */
	uint32_t max;
	uint32_t wanted;                /* frames of the last stack that did not fit */
	uint32_t first, place, fresh;
	bool     closed;                /* the rest of the last stack is that of the present one */
	bool     resting;               /* it did not pay */
	uint32_t walks, frames, same;   /* since that was last decided */
	uint64_t version;               /* unwind_memo_know */
	uintptr_t hi;                   /* the end of the stack that the frames are on */
};

/* Does it pay?  A frame that is met takes 2 ns, one by its rule alone 7, one that is kept as well
 * 17 (stacks of 44 frames that have a tenth in common, between a program's own work).  So one in
 * UNWIND_MEMO_SHARE must have been met, over UNWIND_MEMO_WALKS walks; else it rests for
 * UNWIND_MEMO_REST (unwinding.md 3c). */
#define UNWIND_MEMO_WALKS 64
#define UNWIND_MEMO_SHARE 2
#define UNWIND_MEMO_REST  1024

/* Forget, if rules may have changed since: version is another than last time. */
static inline void unwind_memo_know(struct unwind_memo *m, uint64_t version)
{
	if (unlikely(m->version != version))
		m->first = m->max;
	m->version = version;
}

/* A walk on the stack that ends at hi.  False: do without. */
bool unwind_memo_begin(struct unwind_memo *m, uintptr_t hi);
/* Its end; it had so many frames. */
void unwind_memo_end(struct unwind_memo *m, unsigned frames);

/* Is this frame in the memo?  If not, it is now. */
static inline bool unwind_memo_meet(struct unwind_memo *m, const struct unwind_memo_frame *f)
{
	uint32_t place = m->place, max = m->max;
	struct unwind_memo_frame *have = &m->frame[place];

	for (; place < max && have->sp < f->sp; have++)
		place++;
	if (place < max && have->sp == f->sp && have->pc == f->pc && have->bp == f->bp) {
		have->way = f->way;
		m->place = place;
		return true;
	}
	m->place = place;
	if (likely(m->fresh < max))
		m->fresh_frame[m->fresh++] = *f;
	return false;
}

/* From the frame that was just met as far as it goes: the addresses of the frames that are left are
 * written to pc[], at most room, and *f becomes the one that was arrived at.  Returns how many were
 * left. */
unsigned unwind_memo_follow(struct unwind_memo *m, struct unwind_memo_frame *f, uintptr_t *pc,
			    unsigned room);

#endif
