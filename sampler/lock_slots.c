#include "sampler/lock_slots.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "sampler/count.h"
#include "sampler/lock_thin.h"
#include "sampler/locks.h"
#include "sampler/os.h"
#include "sampler/pair.h"

/* Where a lock may be, from its hash on. */
#define PROBES 4
/* So many others were first: who joins or charges gives up. */
#define TRIES  64

/* The second word of the pair: address >> 2, turn, W.  A lock is an int at least, and the lower
 * half of the address space is 47 bits (with 57 the kernel asks for a hint). */
#define W_BITS    18
#define W_MAX     ((UINT64_C(1) << W_BITS) - 1)
#define TURN_BIT  W_BITS
#define TAG_SHIFT (W_BITS + 1)
#define ADDRESS_BITS 47
static_assert(ADDRESS_BITS - 2 + TAG_SHIFT == 64, "address, turn and W are one word");

struct slot {
	_Alignas(64) _Atomic(uint64_t) pair[2]; /* S; address, turn, W */
	_Atomic(uint64_t) last_ns[2];   /* of the last charge, by turn */
	_Atomic(uint64_t) fresh;        /* weights of waits that nobody was charged for yet */
	_Atomic(uint64_t) charged_ns;   /* when somebody was */
	_Atomic(uint32_t) charges;
	struct lock_thin thin;          /* which releases charge */
	struct lock_holders holders;    /* who was charged */
};

static struct slot *slots;
static uint64_t     born_ns;

int lock_slots_init(void)
{
	if (!pair_can_swap())
		return -ENOSYS;
	born_ns = os_monotonic_ns();
	slots = os_map_wiped(LOCK_SLOTS * sizeof(*slots));
	return slots != NULL ? 0 : -ENOMEM;
}

void lock_slots_after_fork(void)
{
	if (slots != NULL)
		os_clear(slots, LOCK_SLOTS * sizeof(*slots));
}

/* 0: none. */
static uint64_t tag_of(const void *lock)
{
	uintptr_t at = (uintptr_t)lock;

	return at % 4 != 0 || at >> ADDRESS_BITS != 0 ? 0 : at >> 2;
}

/* By the upper bits, which depend on all others: locks of different threads may be 64 MiB apart
 * (malloc's arenas). */
static struct slot *slot_at(const void *lock, unsigned probe)
{
	return &slots[((locks_hash(lock) >> (32 - LOCK_SLOTS_BITS)) + probe) % LOCK_SLOTS];
}

static uint32_t number_of(const struct slot *s)
{
	return (uint32_t)(s - slots) + 1;
}

/* Of two moments, maybe: then no swap will succeed. */
static void load(struct slot *s, uint64_t pair[2])
{
	pair[1] = atomic_load_explicit(&s->pair[1], memory_order_acquire);
	pair[0] = atomic_load_explicit(&s->pair[0], memory_order_acquire);
}

static uint64_t waiting(const uint64_t pair[2])
{
	return pair[1] & W_MAX;
}

static bool is_of(const uint64_t pair[2], uint64_t tag)
{
	return pair[1] >> TAG_SHIFT == tag && waiting(pair) != 0;
}

static _Atomic uint16_t *cell_of(const uint64_t pair[2])
{
	return locks_cell((const void *)(uintptr_t)(pair[1] >> TAG_SHIFT << 2));
}

static unsigned turn(const uint64_t pair[2])
{
	return pair[1] >> TURN_BIT & 1;
}

/* When a wait that began at begin_ns is counted from. */
static uint64_t since(struct slot *s, const uint64_t pair[2], uint64_t begin_ns)
{
	uint64_t last = atomic_load_explicit(&s->last_ns[turn(pair)], memory_order_acquire);

	return last > begin_ns ? last : begin_ns;
}

/* --- join ------------------------------------------------------------------------------------ */

/* The slot of this lock, else one that is free, as `was` says; NULL: neither. */
static struct slot *find(const void *lock, uint64_t tag, uint64_t was[2])
{
	struct slot *free = NULL;
	uint64_t pair[2];

	for (unsigned i = 0; i < PROBES; i++) {
		struct slot *s = slot_at(lock, i);

		load(s, pair);
		if (!is_of(pair, tag) && (free != NULL || waiting(pair) != 0))
			continue;
		free = s;
		was[0] = pair[0];
		was[1] = pair[1];
		if (is_of(pair, tag))
			break;
	}
	return free;
}

uint32_t lock_slots_join(const void *lock, uint32_t weight, uint64_t *begin_ns, uint64_t draw)
{
	uint64_t tag = tag_of(lock), was[2], now[2];

	for (unsigned tries = 0; slots != NULL && tag != 0 && tries < TRIES; tries++) {
		struct slot *s = find(lock, tag, was);
		uint64_t from;

		if (s == NULL || waiting(was) + weight > W_MAX)
			break;
		from = since(s, was, *begin_ns);
		now[0] = (waiting(was) != 0 ? was[0] : 0) + weight * from;
		now[1] = tag << TAG_SHIFT | (was[1] & (UINT64_C(1) << TURN_BIT)) |
			 (waiting(was) + weight);
		if (waiting(was) == 0)
			lock_thin_begin(&s->thin, cell_of(now), draw);
		if (pair_swap(s->pair, was, now)) {
			/* After, so that each wait is in it once, whoever charges meanwhile. */
			atomic_fetch_add(&s->fresh, weight);
			*begin_ns = from;
			return number_of(s);
		}
	}
	return 0;
}

/* --- leave ----------------------------------------------------------------------------------- */

/* Nobody was charged: then it is nobody's first charge that it counts for. */
static void take_fresh(struct slot *s, uint64_t weight)
{
	uint64_t was = atomic_load_explicit(&s->fresh, memory_order_relaxed);

	while (!atomic_compare_exchange_weak(&s->fresh, &was, was > weight ? was - weight : 0))
		;
}

static uint64_t leave(struct slot *s, uint32_t weight, uint64_t begin_ns)
{
	uint64_t was[2], now[2], from;

	load(s, was);
	do {
		if (waiting(was) < weight)
			return begin_ns;        /* a fork child's, which knows nothing of it */
		from = since(s, was, begin_ns);
		now[1] = was[1] - weight;
		/* What races have left goes with the last one.  Who read the empty pair before two
		 * charges, and the time of an earlier one, must not find it as it was: each charge
		 * has its own time. */
		now[0] = waiting(now) != 0 ? was[0] - weight * from : from;
	} while (!pair_swap(s->pair, was, now));
	return from;
}

/* --- all begin anew -------------------------------------------------------------------------- */

/* Those who wait in `was` begin at *at, which is now, without so many of weight.  False: try again,
 * the pair is not as it was.  last: what was read before the pair. */
static bool begin_anew(struct slot *s, const uint64_t last[2], const uint64_t was[2],
		       uint32_t weight, uint64_t *at)
{
	uint64_t is[2] = { was[0], was[1] }, now[2], other = last[!turn(was)];

	/* After the pair was read: none of them began later. */
	*at = os_monotonic_ns();
	/* If another has done this since, the pair may have been turned there. */
	if (!atomic_compare_exchange_strong(&s->last_ns[!turn(was)], &other, *at))
		return false;
	now[0] = (waiting(was) - weight) * *at;
	now[1] = (was[1] ^ UINT64_C(1) << TURN_BIT) - weight;
	return pair_swap(s->pair, is, now);
}

static void load_last(struct slot *s, uint64_t last[2])
{
	last[0] = atomic_load_explicit(&s->last_ns[0], memory_order_acquire);
	last[1] = atomic_load_explicit(&s->last_ns[1], memory_order_acquire);
}

static uint64_t leave_with_lock(struct slot *s, uint32_t weight, uint64_t begin_ns)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		uint64_t last[2], was[2], from, at;

		load_last(s, last);
		load(s, was);
		if (waiting(was) <= weight)
			break;          /* nobody else */
		from = since(s, was, begin_ns);
		if (begin_anew(s, last, was, weight, &at))
			return from;
	}
	return leave(s, weight, begin_ns);
}

/* Its lock's. */
static _Atomic uint16_t *cell_of_slot(struct slot *s)
{
	uint64_t pair[2];

	load(s, pair);
	return cell_of(pair);
}

bool lock_slots_leave(uint32_t slot, uint32_t weight, uint64_t begin_ns, bool got,
		      uint64_t *until_ns)
{
	struct slot *s = &slots[slot - 1];
	bool is_thin = LOCK_CELL_SHIFT(*cell_of_slot(s)) != 0;
	uint64_t until = got ? leave_with_lock(s, weight, begin_ns) : leave(s, weight, begin_ns);

	if (until_ns != NULL)
		*until_ns = until;
	if (atomic_load(&s->charged_ns) > begin_ns || is_thin)
		return true;
	take_fresh(s, weight);
	return false;
}

uint32_t lock_slots_charges(uint32_t slot)
{
	return atomic_load_explicit(&slots[slot - 1].charges, memory_order_relaxed);
}

/* Of what W and S say; less than nothing, or more than there was time for, is what a race has left,
 * or a wait that was taken out with another beginning than it had. */
static uint64_t made_wait(const uint64_t pair[2], uint64_t at)
{
	uint64_t ns = waiting(pair) * at - pair[0];

	if (ns / waiting(pair) <= at - born_ns)
		return ns;
	count_add(COUNT_LOCK_ODD);
	return 0;
}

/* Nothing, if the slot is not this lock's any more. */
static void charge(struct slot *s, uint64_t tag, uint32_t times, struct lock_slots_due *out)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		uint64_t last[2], was[2], at, fresh;

		load_last(s, last);
		load(s, was);
		if (!is_of(was, tag))
			return;
		if (!begin_anew(s, last, was, 0, &at))
			continue;
		atomic_store_explicit(&s->charged_ns, at, memory_order_release);
		/* No more than about: whoever gets between is not counted. */
		atomic_store_explicit(&s->charges, lock_slots_charges(number_of(s)) + 1,
				      memory_order_relaxed);
		fresh = atomic_load(&s->fresh) != 0 ? atomic_exchange(&s->fresh, 0) : 0;
		if (times != 0) {
			out->ns += times * made_wait(was, at);
			out->waits += times * fresh;
			out->charged = true;
		}
		out->at_ns = at;
		out->slot = number_of(s);
		return;
	}
}

void lock_slots_charge(const void *lock, uint64_t draw, struct lock_slots_due *due)
{
	uint64_t tag = tag_of(lock);

	*due = (struct lock_slots_due){ 0, 0, 0, 0, false };
	for (unsigned i = 0; slots != NULL && tag != 0 && i < PROBES; i++) {
		struct slot *s = slot_at(lock, i);
		uint64_t pair[2];
		uint32_t times;

		load(s, pair);
		if (is_of(pair, tag) &&
		    lock_thin_take(&s->thin, cell_of(pair), draw, &times))
			charge(s, tag, times, due);
	}
}

struct lock_thin *lock_slots_thin(uint32_t slot)
{
	return &slots[slot - 1].thin;
}

struct lock_holders *lock_slots_holders(uint32_t slot)
{
	return &slots[slot - 1].holders;
}
