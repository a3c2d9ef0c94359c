#include "sampler/unwind_memo.h"

#include <stdatomic.h>
#include <string.h>

/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

static void copy(struct unwind_memo_frame *to, const struct unwind_memo_frame *from, uint32_t n)
{
	memcpy(to, from, n * sizeof(*to));
}

HOT bool unwind_memo_begin(struct unwind_memo *m, uintptr_t hi)
{
	if (m->resting) {
		if (++m->walks < UNWIND_MEMO_REST)
			return false;
		m->resting = false;
		m->walks = m->frames = m->same = 0;
		m->first = m->max;
	}
	if (m->hi != hi)
		m->first = m->max;
	m->hi = hi;
	m->place = m->first;
	m->first = m->max;
	m->fresh = 0;
	m->closed = false;
	return true;
}

static void decide(struct unwind_memo *m, unsigned frames)
{
	m->frames += frames;
	if (++m->walks < UNWIND_MEMO_WALKS)
		return;
	m->resting = m->same < m->frames / UNWIND_MEMO_SHARE;
	m->walks = m->frames = m->same = 0;
}

HOT void unwind_memo_end(struct unwind_memo *m, unsigned frames)
{
	uint32_t rest = m->closed ? m->place : m->max, first;

	/* No room for all: without the outermost of the rest. */
	if (unlikely(m->fresh > rest)) {
		memmove(&m->frame[m->fresh], &m->frame[rest],
			(m->max - m->fresh) * sizeof(m->frame[0]));
		rest = m->fresh;
	}
	first = rest - m->fresh;
	copy(&m->frame[first], m->fresh_frame, m->fresh);
	atomic_signal_fence(memory_order_seq_cst);      /* a handler may leave by a jump */
	m->first = first;
	if (unlikely(frames > m->max))
		m->wanted = frames;
	decide(m, frames);
}

/* sp was loaded too, or the way is not known. */
static NOINLINE UNCHECKED bool odd_way_holds(const struct unwind_memo_frame *f)
{
	uintptr_t bp_at = f->way & (((uintptr_t)1 << 47) - 8);
	uintptr_t below = f->way >> UNWIND_MEMO_BELOW_BIT & ~(uintptr_t)7;

	return f->way != UNWIND_MEMO_APART && *(const uintptr_t *)bp_at == f->bp &&
	       *(const uintptr_t *)(bp_at - below) == f->sp;
}

/* Where bp was not loaded, it is compared with itself: that is not a branch. */
static UNCHECKED bool holds(const struct unwind_memo_frame *f)
{
	const uintptr_t *bp_at = &f->bp;

	if (f->way != 0)
		bp_at = (const uintptr_t *)f->way;
	__asm__("" : "+r"(bp_at));
	if (((const uintptr_t *)f->sp)[-1] != f->pc)
		return false;
	if (unlikely(f->way & (UNWIND_MEMO_APART | UNWIND_MEMO_BOTH)))
		return odd_way_holds(f);
	return *bp_at == f->bp;
}

HOT unsigned unwind_memo_follow(struct unwind_memo *m, struct unwind_memo_frame *f, uintptr_t *pc,
			    unsigned room)
{
	const struct unwind_memo_frame *have = &m->frame[m->place];
	uint32_t left = m->max - m->place - 1, n = 0;

	if (left > room)
		left = room;
	for (; n < left && holds(&have[n + 1]); n++)
		pc[n] = have[n].pc - 1;
	*f = have[n];
	m->same += n;
	m->closed = m->place + n + 1 == m->max;
	if (!m->closed) {
		uint32_t fit = m->max - m->fresh;

		fit = n + 1 < fit ? n + 1 : fit;
		copy(&m->fresh_frame[m->fresh], &m->frame[m->place], fit);
		m->fresh += fit;
		m->place += n + 1;
	}
	return n;
}
