/* sampler/lock_pairs.h -- who waited for whom: counters by the waiter's row and the holder's.
 *
 * Rows are given back and taken again (generations.h).  So a pair knows its sites by their rows and
 * by a hash of what they are: where another one has the row now, it was evicted.
 *
 * Context   lock_pairs_add: any thread, inside handlers; lock-free.  lock_pairs_at: our thread.
 * Memory    128 KiB; a fork child finds zeros.
 * When full pairs that are new count on one of evicted sites. */
#ifndef SAMPLER_LOCK_PAIRS_H
#define SAMPLER_LOCK_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/generations.h"

#define LOCK_PAIRS 4096

/* A site as it was when it was counted on; all zero: none. */
struct lock_site {
	uint32_t row, hash;
};

/* Waits on one site while somebody on another had the lock. */
struct lock_pair {
	uint32_t waiter, holder;        /* rows of the two tables; 0: evicted, or not known */
	uint64_t contentions, delay_ns; /* as LOCKS_CONTENTIONS */
};

/* 0 or -ENOMEM; then nothing is counted. */
MUST_CHECK int lock_pairs_init(void);
void lock_pairs_after_fork(void);

/* The site that has this row.  Between threads_begin and threads_end, or our thread. */
struct lock_site lock_pairs_site(const struct generations *g, uint32_t row);

void lock_pairs_add(struct lock_site waiter, struct lock_site holder, uint64_t contentions,
		    uint64_t delay_ns);

/* What is in a cell below LOCK_PAIRS; false: nothing. */
bool lock_pairs_at(uint32_t cell, const struct generations *waiters,
		   const struct generations *holders, struct lock_pair *out);

#endif
