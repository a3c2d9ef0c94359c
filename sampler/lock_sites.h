/* sampler/lock_sites.h -- where waits and charges are counted: the tables of block and mutex.
 *
 * Context   any thread, inside handlers; a thread that has no stack to show counts on [evicted].
 * Memory    the budget; a fork child finds zeros. */
#ifndef SAMPLER_LOCK_SITES_H
#define SAMPLER_LOCK_SITES_H

#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/generations.h"

/* Counters of a site, as one pair; contentions in units of 1 / RANDOM_WEIGHT_ONE.  The size of a
 * key is the lock's id (lock_ids.h). */
enum locks_value { LOCKS_CONTENTIONS, LOCKS_DELAY_NS };

/* The only frame of a holder that is in another process, or that nobody saw. */
#define FRAME_LOCK_HOLDER_UNKNOWN ((frame_t)7)

extern struct generations locks_block_table, locks_mutex_table;

/* 0 or -ENOMEM; then nothing is mapped. */
MUST_CHECK int lock_sites_init_block(uint64_t budget_bytes);
MUST_CHECK int lock_sites_init_mutex(uint64_t budget_bytes);
void lock_sites_after_fork(void);

struct locks_wait;
struct locks_charge;

/* Count their amount, with the caller's stack, and as a pair if the wait had a slot.  errno is
 * kept. */
void lock_sites_block(const struct locks_wait *w);
void lock_sites_mutex(const struct locks_charge *c);
/* The same amount on FRAME_LOCK_HOLDER_UNKNOWN, which becomes w's holder. */
void lock_sites_unknown(struct locks_wait *w);

#endif
