/* sampler/locks.h -- who waited (block), and who made them wait (mutex).
 *
 * A wait is measured by its thread and counted, with the stack it has after it, by Go's rule
 * (SetBlockProfileRate): one of d ns counts surely if d >= rate, else with probability d / rate,
 * and then for rate / d waits and rate ns.
 *
 * Of a lock that somebody holds, the waiter leaves its beginning in the lock's slot: W, how many
 * wait, and S, the sum of their beginnings (lock_slots.h).  Who gives the lock back while W > 0 is
 * charged W * now - S, and S becomes W * now: each holder pays for the time in which it held,
 * whoever of the waiters comes next.  (With charges to the last holder alone a long holder's 82 %
 * among three short ones' 17 % became 30 to 70.)  The stack is that of the unlock.
 *
 *     lock    peek (mutex_gates.h): free -> real      (nothing of ours is written)
 *             peek: held -> chosen? -> slot: W += w, S += w * now -> real -> slot: W -= w ...
 *     unlock  nobody waits (lock_gates.h), or the filter: not for this one -> real
 *             slot: charge = W * now - S -> real -> stack, counters
 *
 * Every unlock reads how many wait, and every waiter that is chosen writes it; and every charge has
 * a stack to take.  So a thread to which this happens often takes few of its waits and charges,
 * each with the weight of those that it left out; so do all threads together (crowd.h), and a lock
 * that changes hands very often while somebody waits (lock_thin.h).  How likely it is to take one
 * is settled before that one's length is known or, for charges, is in proportion to it: either
 * keeps all sums unbiased.
 *
 * Context   any thread, inside handlers; lock-free, and nobody waits.  A thread that leaves a wait
 *           by a jump or is cancelled in it is taken out of its slot at its next wait, or its end.
 * Memory    the budget, the slots, 8 KiB; a fork child finds zeros.
 * When full of slots: the wait is not charged to anybody (count.lock_no_slot); of stacks:
 *           [evicted]. */
#ifndef SAMPLER_LOCKS_H
#define SAMPLER_LOCKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/lock_pairs.h"
#include "sampler/lock_sites.h"
#include "sampler/lock_thin.h"
#include "sampler/pace.h"
#include "sampler/random.h"
#include "sampler/self.h"

/* The budget is for both.  0 or -ENOMEM; then nothing is recorded.  -ENOSYS: without mutex. */
MUST_CHECK int locks_init(uint64_t budget_bytes);
void locks_after_fork(void);
/* The thread that is about to leave waits no more. */
void locks_thread_ends(void);

/* Mean ns of waiting between block samples, 1: every wait, 0: off; and one in `fraction` releases
 * that made others wait is recorded, 1: all, 0: off. */
void locks_set_block_rate(uint64_t ns);
uint64_t locks_block_rate(void);
void locks_set_mutex_fraction(uint64_t n);
uint64_t locks_mutex_fraction(void);

/* --- for the doors --------------------------------------------------------------------------- */

/* How many chosen waits are under way: mostly none.  Then how many for locks with this hash, and
 * which of their releases count (lock_thin.h). */
extern HIDDEN _Atomic uint32_t locks_waits;
#define LOCKS_FILTER_BITS 12
extern HIDDEN _Atomic uint16_t locks_filter[1u << LOCKS_FILTER_BITS];

/* Multiplicative hashing (Knuth, The Art of Computer Programming 3, 6.4). */
static inline uint32_t locks_hash(const void *lock)
{
	return (uint32_t)(uintptr_t)lock * 2654435769u;
}

static inline _Atomic uint16_t *locks_cell(const void *lock)
{
	return &locks_filter[locks_hash(lock) >> (32 - LOCKS_FILTER_BITS)];
}

/* Of a thread that has none yet. */
uint64_t locks_first_draw(void);

/* Budget: a product, a shift and a load; of a lock that is given back very often a random number,
 * too.  False: nobody is to be charged for this release.  Of lock_gates.h's doors, which ask only
 * while somebody waits. */
static inline bool locks_release_counts(const void *lock)
{
	unsigned cell = atomic_load_explicit(locks_cell(lock), memory_order_relaxed);

	if ((cell & LOCK_CELL_WAITS) == 0)
		return false;
	if (LOCK_CELL_SHIFT(cell) == 0)
		return true;
	self.lock_draw = likely(self.random != 0) ? random_next(&self.random) : locks_first_draw();
	return lock_thin_may_take(cell, self.lock_draw);
}

/* The same for one load while nobody waits. */
static inline bool locks_is_awaited(const void *lock)
{
	return unlikely(atomic_load_explicit(&locks_waits, memory_order_relaxed) != 0) &&
	       locks_release_counts(lock);
}

/* A wait, on the stack of the door: 72 bytes. */
struct locks_wait {
	const void *lock;
	uint64_t    begin_ns;           /* 0: this one is not chosen */
	uint64_t    end_ns;
	uint32_t    weight;             /* how many waits it stands for */
	uint32_t    slot;               /* lock_slots_join's; 0: none */
	uint32_t    charges;            /* of the slot, before */
	struct pace_amount amount;
	struct lock_site holder;        /* if nobody was charged */
	bool        charged;            /* somebody was */
	bool        perhaps;            /* the door says: it may be no lock, nobody has it */
};

/* How a wait has ended.  The first two may also be false and true. */
enum locks_end {
	LOCKS_REFUSED,          /* at once: EDEADLK, EINVAL ... */
	LOCKS_WAITED,           /* a timeout; a futex's; a pause */
	LOCKS_GOT,              /* the caller has the lock now */
};

/* The peek has shown that the caller is going to wait for `lock`.  Then: the real function; then
 * the end.  errno is kept by both. */
void locks_wait_begin(struct locks_wait *w, const void *lock);
/* True: it counts in block. */
bool locks_waited(struct locks_wait *w, enum locks_end end);

static inline void locks_wait_end(struct locks_wait *w, enum locks_end end)
{
	if (w->begin_ns != 0 && locks_waited(w, end))
		lock_sites_block(w);
}

/* The same where nobody holds anything: a condition, a join, a barrier, a semaphore.  on:
 * which one; NULL for a join. */
void locks_pause_begin(struct locks_wait *w, const void *on);

static inline void locks_pause_end(struct locks_wait *w, enum locks_end end)
{
	locks_wait_end(w, end);
}

/* What the holder is charged with: 40 bytes. */
struct locks_charge {
	const void *lock;
	uint64_t    at_ns;
	struct pace_amount amount;
	uint32_t    slot;               /* lock_slots_charge's; 0: nothing */
};

/* locks_is_awaited(lock) said yes, and the caller is about to give it back.  locks_release_end
 * takes the stack: after the real unlock, so that nobody waits for that too; but before a condition
 * wait.  The lock may be gone by then.  errno is kept by both. */
void locks_release_begin(struct locks_charge *c, const void *lock);
/* True: it counts in mutex. */
bool locks_released(struct locks_charge *c);

static inline void locks_release_end(struct locks_charge *c)
{
	if (c->slot != 0 && locks_released(c))
		lock_sites_mutex(c);
}

#endif
