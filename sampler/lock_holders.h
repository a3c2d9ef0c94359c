/* sampler/lock_holders.h -- the last holders of a lock who were charged, with when and how much:
 * from these a waiter picks the one that it is counted with as a pair (lock_pairs.h), by chance, in
 * proportion.
 *
 * Context   any thread, inside handlers; lock-free.
 * Memory    260 bytes of a slot; all zero: nobody.
 * When full the oldest is forgotten. */
#ifndef SAMPLER_LOCK_HOLDERS_H
#define SAMPLER_LOCK_HOLDERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "sampler/lock_pairs.h"

#define LOCK_HOLDERS 16

/* Its halves may be of two holders, if these come within nanoseconds. */
struct lock_holder {
	_Atomic(uint64_t) site;         /* row << 32 | hash */
	_Atomic(uint64_t) charge;       /* when, and how much */
};

struct lock_holders {
	_Atomic(uint32_t) noted;        /* how many were */
	struct lock_holder holder[LOCK_HOLDERS];
};

/* A charge was recorded, for so many ns, as this holder's. */
void lock_holders_note(struct lock_holders *all, struct lock_site holder, uint64_t at_ns,
		       uint64_t ns);

/* One of those who were noted between two times; all zero: there is none. */
struct lock_site lock_holders_pick(struct lock_holders *all, uint64_t from_ns, uint64_t to_ns,
				   uint64_t *random);

#endif
