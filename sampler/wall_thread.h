/* sampler/wall_thread.h -- one thread's part of the wall-clock profile: what its time is credited
 * with.
 *
 * The kernel counts how long a thread was on a CPU and how long it waited for one; the rest it was
 * asleep.  Each of the three waits here for the stack that it belongs to:
 *
 *     on_ns       for a tick of the CPU profile: where that has met the thread
 *     waited_ns   the part of rest_ns that was spent waiting for a CPU: the same stack, or the call
 *                 that the thread has slept in
 *     rest_ns     for a look that finds it asleep, which takes all but waited_ns
 *
 * So the time in each of these states is right whatever the looks happen to meet; and which stack
 * it goes to is decided by looks at random moments, each standing for the time since the last one
 * that met that state, and by ticks, each standing for its period of CPU time.  (To ask a thread
 * that a look finds running does not do: it answers at the kernel's next tick, if it still runs
 * then; so long bursts would be met and short ones not.)  What has no stack when a window ends,
 * or the thread, goes to the last one of that kind, or to [running, no stack]; so does the CPU time
 * of a thread that no tick comes to.
 *
 * Context   our thread. */
#ifndef SAMPLER_WALL_THREAD_H
#define SAMPLER_WALL_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/wall.h"
#include "sampler/wall_hits.h"

enum wall_doing { WALL_UNKNOWN, WALL_RUNS, WALL_SLEEPS, WALL_ENDED };

/* All zero: nobody was seen in this slot. */
struct wall_thread {
	int32_t  tid;           /* 0: nobody was here at the last look */
	uint16_t name;          /* id of its name */
	uint8_t  doing;         /* enum wall_doing */
	uint32_t generation;    /* of what follows, the low half of its number */
	uint32_t off_row, off_stack;    /* where it slept last; 0 none */
	uint32_t run_stack;     /* where it ran last; 0 none */
	uint64_t last_ns;       /* of the last look at this slot; 0 never */
	uint64_t cpu_ns;        /* CPU time used, at the last look */
	uint64_t wait_ns;       /* waited for a CPU, by then */
	uint64_t on_ns, waited_ns, rest_ns;
	uint64_t ran_ns;        /* CPU time since it was found asleep */
	uint64_t looks;         /* that found it running, in units: not yet credited */
};

/* A look at the slot, in which thread tid is now, or nobody (0).  Its last one was not before
 * since_ns. */
void wall_thread_look(struct wall_thread *t, int tid, uint64_t since_ns, uint64_t now_ns);

/* The same without one. */
void wall_thread_settle(struct wall_thread *t, int tid, uint64_t since_ns, uint64_t now_ns);

/* A tick has met thread hit->tid; nothing happens if that was not looked at yet. */
void wall_thread_hit(struct wall_thread *t, const struct wall_hit *hit, uint64_t since_ns,
		     uint64_t now_ns);

#endif
