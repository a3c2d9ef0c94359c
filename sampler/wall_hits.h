/* sampler/wall_hits.h -- where the ticks of the CPU profile have met threads: for our thread, which
 * credits the CPU time of each to the stacks that it was met in (wall_thread.h).
 *
 * A ring: a tick writes the next place, our thread reads them in turn.
 *
 * Context   wall_hits_add: inside SIGPROF, on a thread with a slot.  The rest: our thread.
 * Memory    WALL_HITS places, mapped when they are first wanted.
 * When full the oldest are overwritten: their CPU time goes to the next hit of the same thread. */
#ifndef SAMPLER_WALL_HITS_H
#define SAMPLER_WALL_HITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* Of 200 processors a tenth of a second, at 200 a second each. */
#define WALL_HITS 4096u

struct wall_hit {
	uint32_t slot;          /* number of the thread's (threads.h) */
	int32_t  tid;
	uint32_t row;           /* of cpu_table */
	uint64_t ns;            /* that it stands for */
};

extern HIDDEN _Atomic bool wall_hits_wanted;
void wall_hits_write(uint32_t row, uint64_t ns);

/* The calling thread was met on this row of cpu_table, by a tick that stands for so much CPU time.
 * Budget: one load. */
static inline void wall_hits_add(uint32_t row, uint64_t ns)
{
	if (unlikely(atomic_load_explicit(&wall_hits_wanted, memory_order_relaxed)))
		wall_hits_write(row, ns);
}

/* From now on, or no more; what was written before is forgotten. */
void wall_hits_want(bool wanted);

/* The next one; false: there is none. */
bool wall_hits_take(struct wall_hit *out);

/* A fork child. */
void wall_hits_after_fork(void);

#endif
