/* sampler/pair.h -- two counters that change as one: whoever reads them sees both changed, or none.
 *
 * Context   any thread, inside handlers; lock-free: what is tried again, another thread was first
 *           with.  Reading is one instruction, however much is being counted.
 * Memory    the caller's, on a boundary of 16 bytes. */
#ifndef SAMPLER_PAIR_H
#define SAMPLER_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#define PAIR_ALIGN 16

/* Whoever sees the sums sees all that was counted before. */
void pair_add(_Atomic(uint64_t) pair[2], uint64_t first, uint64_t second);

/* Both as they were at one moment, after all that was read before. */
void pair_read(_Atomic(uint64_t) pair[2], uint64_t out[2]);

/* --- of the processor: pair_<arch>.c --------------------------------------------------------- */

/* False: it cannot, each half changes for itself. */
bool pair_can_swap(void);

/* If the pair is still `was` it is `now`; else it stays and comes out in `was`.  A full barrier. */
bool pair_swap(_Atomic(uint64_t) pair[2], uint64_t was[2], const uint64_t now[2]);

#endif
