#include "sampler/unwind_memo.h"

#include <string.h>

/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

static void move(struct unwind_memo *m, uint32_t to, uint32_t from, uint32_t n)
{
	memmove(&m->frame[to], &m->frame[from], n * sizeof(m->frame[0]));
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
	uint32_t rest = m->closed ? m->place : m->max;

	m->first = rest - m->fresh;
	if (m->first != 0)
		move(m, m->first, 0, m->fresh);
	decide(m, frames);
}

static UNCHECKED uintptr_t sp_was_at(const struct unwind_memo_frame *f, uintptr_t bp_at)
{
	uintptr_t below = f->way >> UNWIND_MEMO_BELOW_BIT & ~(uintptr_t)7;

	return *(const uintptr_t *)(bp_at - below);
}

static UNCHECKED bool holds(const struct unwind_memo_frame *f)
{
	uintptr_t bp_at = f->way & (((uintptr_t)1 << 47) - 8);

	if (f->way == UNWIND_MEMO_APART || ((const uintptr_t *)f->sp)[-1] != f->pc)
		return false;
	if (f->way == 0)
		return true;
	return *(const uintptr_t *)bp_at == f->bp &&
	       (likely(!(f->way & UNWIND_MEMO_BOTH)) || sp_was_at(f, bp_at) == f->sp);
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
		move(m, m->fresh, m->place, n + 1);
		m->fresh += n + 1;
		m->place += n + 1;
	}
	return n;
}
