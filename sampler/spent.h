/* sampler/spent.h -- what samples cost the host's threads: CPU time from the beginning of one (in
 * the handler of a tick, in a door) to its end.  One in SPENT_EVERY of each thread is timed and
 * stands for all of them; the clock's own time is taken off.  Left out: the kernel's part of a
 * signal, and what a door does before it knows that there is something to sample.
 *
 * Context   spent_begin, spent_end: any thread, in handlers, between threads_begin and threads_end;
 *           three system calls.  spent_ns: any. */
#ifndef SAMPLER_SPENT_H
#define SAMPLER_SPENT_H

#include <stdbool.h>
#include <stdint.h>

/* Three reads of the clock, 0.5 us, to 64 ticks of 2 us and more: less than half a percent. */
#define SPENT_EVERY 64

struct spent {
	uint64_t begin_ns;              /* 0: this one is not timed */
	uint64_t clock_ns;              /* what a look at the clock took */
};

/* True for one sample in SPENT_EVERY, of which each has two beats (threads.h).  Not for the first
 * ones of a slot, which are slower, nor only late: short threads use a slot in turn. */
static inline bool spent_is_due(uint32_t beat)
{
	return beat / 2 % SPENT_EVERY == SPENT_EVERY / 2;
}

void spent_begin(struct spent *s);
/* tick: in a handler of a tick; else in a door. */
void spent_end(struct spent *s, bool tick);

/* Estimated, of all that have ended. */
uint64_t spent_ns(bool tick);

/* A fork child begins with nothing. */
void spent_after_fork(void);

#endif
