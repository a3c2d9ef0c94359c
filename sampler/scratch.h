/* sampler/scratch.h -- what a sample needs while it is taken, and not afterwards.
 *
 * Too much for a signal stack, and for each thread too: so a few areas for all of them, of which a
 * sample takes one and gives it back.  Each user tries its last one first, which is in the caches
 * still.  Where all are taken (their threads were preempted in the middle) there is one of the
 * user's own, in memory that is not touched otherwise.
 *
 * A sample that is left by a jump gives nothing back.  Its user finds the area in its next sample
 * and keeps it from then on: whoever is there may come back, of a context that waits.
 *
 * Context   any thread, inside handlers and inside malloc; lock-free.  scratch_init: once.
 * Memory    SCRATCH_MAX areas at most, 1.9 KiB and 40 bytes a frame each; touched as used.
 * When full the user's own. */
#ifndef SAMPLER_SCRATCH_H
#define SAMPLER_SCRATCH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/limits.h"
#include "sampler/unwind.h"
#include "sampler/unwind_memo.h"

struct scratch {
	struct unwind_work work;
	uintptr_t          pc[];        /* scratch_init's depth of them; then the memo's frames */
};

/* One kind of sample of one thread: it is in one area at a time. */
struct scratch_user {
	struct scratch *own;            /* scratch_bytes of its own, zero before the first use */
	uint32_t        id;             /* nobody else's; not 0, and below 2^31 */
	uint32_t        last;           /* the area where it was, or is, or would like to be */
};

#define SCRATCH_LINE_BYTES 64u  /* of a cache: an area begins at one */

/* Of scratch.c, for the two that follow. */
extern HIDDEN struct scratch_areas {
	char  *at;
	size_t bytes;           /* of each */
} scratch_areas;
/* Who is in each area: its id; 0: nobody.  Apart from them: a fork child reads it all. */
extern HIDDEN struct scratch_place {
	_Alignas(SCRATCH_LINE_BYTES) _Atomic uint32_t user;
} scratch_place[SCRATCH_MAX];

/* So many bytes more in each area, at scratch_reserved.  Once, before scratch_init. */
void scratch_reserve(size_t bytes);
void *scratch_reserved(struct scratch *s);

/* depth: frames of a stack. */
void scratch_init(unsigned depth);
size_t scratch_bytes(void);

struct unwind_memo_frame *scratch_frames(struct scratch *s);

/* From now on, until scratch_leave. */
void scratch_enter(struct scratch_user *u, uint32_t id, void *own);

/* In the last one there is somebody. */
struct scratch *scratch_take_another(struct scratch_user *u);

static inline struct scratch *scratch_take(struct scratch_user *u)
{
	_Atomic uint32_t *user = &scratch_place[u->last].user;
	uint32_t nobody = 0;

	if (unlikely(!atomic_compare_exchange_strong_explicit(
			    user, &nobody, u->id, memory_order_acquire, memory_order_relaxed)))
		return scratch_take_another(u);
	return (struct scratch *)(void *)(scratch_areas.at + u->last * scratch_areas.bytes);
}

/* Not what is kept; nor another's, with one of its own. */
static inline void scratch_give(const struct scratch_user *u)
{
	_Atomic uint32_t *user = &scratch_place[u->last].user;

	if (likely(atomic_load_explicit(user, memory_order_relaxed) == u->id))
		atomic_store_explicit(user, 0, memory_order_release);
}

/* It is not there any more. */
void scratch_leave(struct scratch_user *u);
/* A fork child: only the users first to first + n - 1 are left. */
void scratch_after_fork(uint32_t first, uint32_t n);

#endif
