#include "sampler/hold.h"

#include <errno.h>

#include "sampler/levels.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/threads.h"

/* A thread has 22 bits (linux, PID_MAX_LIMIT), an address 47. */
#define AT_BITS  42
#define AT_SHIFT 5
#define AT_MASK  ((UINT64_C(1) << AT_BITS) - 1)
#define TRIES    4              /* so many others were first */

/* 0: it does not fit. */
static uint64_t word_of(const struct hold *h, int tid)
{
	uint64_t at = (uintptr_t)h >> AT_SHIFT;

	if (at > AT_MASK || (uint64_t)tid >> (64 - AT_BITS) != 0)
		return 0;
	return (uint64_t)tid << AT_BITS | at;
}

static uint64_t mark_of(const uint64_t word[2])
{
	return levels_hash(word[0] ^ levels_hash(word[1]));
}

static bool is_on_my_stack(uintptr_t at, int tid)
{
	const struct thread_slot *slot = self.slot;

	return slot != NULL && slot->tid == tid && at >= slot->stack_lo &&
	       at + sizeof(uint64_t) <= slot->stack_hi;
}

/* Only what is certain: a kernel that refuses to look says nothing. */
static bool was_left(const uint64_t was[2], int tid, bool thorough)
{
	uintptr_t at = (was[0] & AT_MASK) << AT_SHIFT;
	int holder = (int)(was[0] >> AT_BITS);
	uint64_t mark;
	long n;

	if (holder == tid && is_on_my_stack(at, tid))
		return *(const volatile uint64_t *)at != mark_of(was);
	if (holder != tid && !thorough)
		return false;
	n = os_peek(&mark, at, sizeof(mark));
	if (n == -EFAULT || (n == (long)sizeof(mark) && mark != mark_of(was)))
		return true;
	/* A vfork child may not see its parent's threads. */
	return holder != tid && !threads_elsewhere() && os_thread_is_gone(holder);
}

static int my_tid(void)
{
	return self.tid != 0 ? self.tid : os_gettid();
}

bool hold_is_mine(struct hold_lock *l)
{
	uint64_t was[2] = { atomic_load(&l->word[0]), atomic_load(&l->word[1]) };
	int tid = my_tid();

	return was[0] >> AT_BITS == (uint64_t)tid && was[0] != 0 && !was_left(was, tid, false);
}

enum hold_result hold_try(struct hold_lock *l, struct hold *h, bool thorough)
{
	int tid = my_tid();
	uint64_t me = word_of(h, tid), was[2];

	was[0] = atomic_load(&l->word[0]);
	was[1] = atomic_load(&l->word[1]);
	for (unsigned i = 0; i < TRIES && me != 0 && pair_can_swap(); i++) {
		const uint64_t now[2] = { me, was[1] + 1 };
		bool taken = was[0] != 0;

		/* Before anybody can look for it. */
		h->mark = mark_of(now);
		if (taken && !was_left(was, tid, thorough))
			return HOLD_BUSY;
		if (!pair_swap(l->word, was, now))
			continue;
		/* What was done before hold_end is seen: of pair_swap no sanitizer knows. */
		(void)atomic_load_explicit(&l->word[0], memory_order_acquire);
		return taken ? HOLD_INHERITED : HOLD_TAKEN;
	}
	return HOLD_BUSY;
}

/* In this order: a mark that is gone is one that was left. */
void hold_end(struct hold_lock *l, struct hold *h)
{
	atomic_store(&l->word[0], 0);
	h->mark = 0;
}
