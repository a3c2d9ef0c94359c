/* sampler/lock_slots.h -- of each lock that somebody waits for: how many do (W), and the sum of
 * when they began (S).
 *
 *     join      W += w            S += w * begin
 *     charge    W * now - S       S  = W * now        (each of them begins anew)
 *     leave     W -= w            S -= w * (begin, or the last charge if that was later)
 *     got       W -= w            S  = W * now        (from its last holder to this one: nobody's)
 *
 * w is how many waits this one stands for.  A slot is for one lock, compared by its address, as
 * long as somebody waits; then it is free for another.  Two who come at the same moment may take
 * two slots for one lock: a charge looks at all where it could be.
 *
 * Address, W and S are one pair and change as one.  When the last charge was, stands beside it,
 * twice: a charge writes where the pair does not point, and then turns the pair.  So whoever leaves
 * sees the charge that S has seen.  Only of two charges of one lock within nanoseconds (readers of
 * an rwlock) one may be told the other's time.
 *
 * Beside them are the last holders who were charged (lock_holders.h).
 *
 * Context   any thread, inside handlers; lock-free.
 * Memory    320 KiB, touched as used; a fork child finds zeros.
 * When full lock_slots_join returns 0. */
#ifndef SAMPLER_LOCK_SLOTS_H
#define SAMPLER_LOCK_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/lock_holders.h"
#include "sampler/lock_thin.h"

#define LOCK_SLOTS_BITS 10
#define LOCK_SLOTS      (1u << LOCK_SLOTS_BITS)

/* 0 or -ENOMEM, or -ENOSYS where two words cannot change as one. */
MUST_CHECK int lock_slots_init(void);
void lock_slots_after_fork(void);

/* Slot + 1; 0: there is no room, or this can be no lock's address.  *begin_ns becomes later if
 * somebody was charged since.  draw: 64 random bits. */
uint32_t lock_slots_join(const void *lock, uint32_t weight, uint64_t *begin_ns, uint64_t draw);

/* With what the slot was joined; leaves it.  got: the caller has the lock now; until it came the
 * others waited for nobody.  True: somebody was charged, or may have been left out
 * (lock_thin.h).  *until_ns (or NULL): what is behind that
 * is nobody's. */
bool lock_slots_leave(uint32_t slot, uint32_t weight, uint64_t begin_ns, bool got,
		      uint64_t *until_ns);

/* What the holder who gives the lock back now is charged with, in weights: waits of which this is
 * the first charge, and ns of all since the last one. */
struct lock_slots_due {
	uint64_t waits, ns;
	uint64_t at_ns;                 /* when it was */
	uint32_t slot;                  /* slot + 1; 0: nobody waits, or it only looked */
	bool     charged;               /* false: the first of two (lock_thin.h) */
};
/* draw: 64 random bits, those of lock_thin_may_take if it was asked. */
void lock_slots_charge(const void *lock, uint64_t draw, struct lock_slots_due *due);

/* How many charges there were, about; goes round. */
uint32_t lock_slots_charges(uint32_t slot);

/* Of this slot, whatever lock it is for. */
struct lock_thin *lock_slots_thin(uint32_t slot);
struct lock_holders *lock_slots_holders(uint32_t slot);

#endif
