/* sampler/pace.h -- of events that come often, a few are taken, each for those that are left out.
 *
 * pace_choose takes one with probability 1 / 2^shift and the weight 2^shift, before anything is
 * known of it.  pace_thin takes an amount with a probability that is in proportion to it, down to
 * 2^shift.  Either way each sum has the right mean, whatever the shift, as long as it follows from
 * what was before.  And it does: sixteen taken in a short time raise it, in a long time lower it,
 * and so does a time without events, so that of a thread which seldom waits all is taken.  What is
 * dear counts as several.  Each is also as seldom as all threads together demand (crowd.h).
 *
 * Most events are left out, and the exact time is a great part of what they take: pace_choose goes
 * by a clock that stands still for a few ms (CLOCK_MONOTONIC_COARSE), and what it says of a time
 * without events may be too short by that.
 *
 * Context   one thread, whose self_pace it is; a handler in between may cost or add a sample.
 * Time      in units of 1024 ns, of 32 bits: they go round in 73 minutes. */
#ifndef SAMPLER_PACE_H
#define SAMPLER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/crowd.h"
#include "sampler/self.h"

/* Without any event for so long the shift has fallen by 2.  Where thinned, in four times as long by
 * 1: there long ones are taken whatever the shift. */
#define PACE_QUIET (1u << 12)
/* Without any for so long it is not held up for what other threads do: five thousand such threads
 * are ten thousand events a second at most. */
#define PACE_SELDOM (1u << 19)
/* 16 taken in less time are many, in more time than the other few. */
#define PACE_TAKEN 16
#define PACE_MANY  (1u << 13)
#define PACE_FEW   (1u << 16)
#define PACE_CHOOSE_MAX 10
#define PACE_THIN_MAX   30

/* What is counted: contentions in units of 1 / RANDOM_WEIGHT_ONE. */
struct pace_amount {
	uint64_t contentions, delay_ns;
};

/* The weight of this event; 0: it is not taken.  now: of a clock that goes in steps of so much. */
uint32_t pace_choose(struct self_pace *p, const struct crowd *all, uint32_t now, uint32_t step,
		     uint64_t *random);
/* It was. */
void pace_chosen(struct self_pace *p, struct crowd *all, uint32_t now);

/* The last one that was taken is over, and was so many times as dear as others. */
void pace_was_dear(struct self_pace *p, struct crowd *all, uint32_t now, uint32_t times);

/* False: this one is left out. */
bool pace_thin(struct self_pace *p, struct crowd *all, uint32_t now, struct pace_amount *a,
	       uint64_t *random);

/* True with probability min(1, delay / rate), and then the amount stands for rate ns at least. */
bool pace_in_proportion(struct pace_amount *a, uint64_t rate, uint64_t *random);

#endif
