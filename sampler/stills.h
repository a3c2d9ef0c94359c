/* sampler/stills.h -- since when a thread has not run, for "goroutine 7 [select, 12 minutes]:".
 *
 * A thread that runs uses CPU time, and the kernel counts it in ns: one whose clock stands where it
 * stood at an earlier scan has not moved since.  So what is known is the first scan that saw it so:
 * up to eight seconds late (server.c).
 *
 * Context   our thread.
 * Memory    two numbers in a thread's slot; of a thread without one nothing is known.
 * Cost      one system call for each thread and scan, 0.3 us. */
#ifndef SAMPLER_STILLS_H
#define SAMPLER_STILLS_H

#include <stdint.h>

#include "sampler/threads.h"

struct still {
	int32_t  tid;
	uint64_t cpu_ns;                /* its CPU time, when it was last seen */
	uint64_t since_ns;              /* CLOCK_MONOTONIC at which that was first seen */
};

/* A scan meets this thread. */
void stills_meet(struct thread_slot *slot, int tid, uint64_t now_ns);

/* Of all threads that a scan has met. */
void stills_each(void (*f)(void *with, const struct still *still), void *with);

#endif
