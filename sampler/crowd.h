/* sampler/crowd.h -- the pace (pace.h) of all threads of the process together: each may be within
 * its own, and five hundred of them be too many.
 *
 * It works as theirs: 128 taken in a short time raise the shift, in a long time lower it, and so
 * does a time in which they do not come together.  A thread chooses events by the greater shift of
 * the two, but for one of half a second without any: what it waits for now may be long.
 *
 * Context   any thread, any handler.  One word, which only what is taken writes.
 * Time      as pace.h has it. */
#ifndef SAMPLER_CROWD_H
#define SAMPLER_CROWD_H

#include <stdatomic.h>
#include <stdint.h>

/* So many taken in less time are many, in more time than the other few: eight threads may each go
 * at their full pace. */
#define CROWD_TAKEN 128
#define CROWD_MANY  (1u << 13)
#define CROWD_FEW   (1u << 16)

/* All zero: nothing was taken yet. */
struct crowd {
	_Atomic uint64_t state;
};

unsigned crowd_shift(const struct crowd *c, uint32_t now);

/* One was taken, and was so many times as dear as others.  Two at the same moment may count as
 * one. */
void crowd_took(struct crowd *c, uint32_t now, uint32_t times, unsigned max_shift);

#endif
