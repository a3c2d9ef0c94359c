/* sampler/cpu_due.h -- when the periods of a thread are over, by its own CPU clock.
 *
 * The kernel notices that at its tick, every 4 ms or so, and what is over when a thread ends is
 * never noticed: of threads that use 1 ms each, one in ten ticks came; of those that use 10 ms,
 * eight.  And a timer may come later than its thread (cpu_late.h).  So the thread keeps in mind
 * when the next period is over, and at its end counts what nobody has counted.
 *
 * Context   any; slot->due_ns is the thread's own but for who starts its timer, and a tick in
 *           between may be off by a period (cpu_due_last does not believe what cannot be). */
#ifndef SAMPLER_CPU_DUE_H
#define SAMPLER_CPU_DUE_H

#include <stdint.h>

#include "sampler/threads.h"

/* Its timer is started, or is about to be: the first period is over after first_ns more of its CPU
 * time; or, for the calling thread, which has just been born, after as much from its beginning. */
void cpu_due_start(struct thread_slot *slot, int tid, uint64_t first_ns);
void cpu_due_born(struct thread_slot *slot, uint64_t first_ns);

/* Its timer comes only now.  What is over already is owed to the thread's next tick.  Returns when
 * the next period is over, from now; 0: it was never told. */
uint64_t cpu_due_left(struct thread_slot *slot, int tid, uint64_t period_ns);

/* Its timer stands still, or there is none.  For a moment: what is over and was not noticed is owed
 * to the next tick; a thread that blocks SIGPROF each millisecond would have one in ten.  Context:
 * the calling thread's own slot. */
void cpu_due_stop(struct thread_slot *slot);
void cpu_due_pause(struct thread_slot *slot, uint64_t period_ns);

/* The calling thread's timer has counted so many periods.  Returns how many more are owed. */
uint64_t cpu_due_tick(struct thread_slot *slot, uint64_t periods, uint64_t period_ns);

/* The calling thread ends: how many are over, or owed, and not counted. */
uint64_t cpu_due_last(struct thread_slot *slot, uint64_t period_ns);

#endif
