/* sampler/cpu_late.h -- timers that come a moment later than their threads.
 *
 * To make a timer, start and delete it takes 2.5 us; to create and join a thread takes 18.  Where
 * threads come one after the other most end before the kernel would have looked at their
 * timer.  So only the first of those that come together makes its own: it wakes our thread, which
 * makes those of the others some milliseconds later, if they still live.  What they have used until
 * then, or in all, is counted by cpu_due.h.
 *
 * Context   cpu_late_join: the thread that is born.  The rest: our thread.
 * When full the thread makes its own. */
#ifndef SAMPLER_CPU_LATE_H
#define SAMPLER_CPU_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/threads.h"

/* ring wakes our thread, which calls cpu_late_go then; NULL: it does so no more.  arm is called for
 * who still waits. */
void cpu_late_open(void (*ring)(void), void (*arm)(struct thread_slot *slot));

/* True: the calling thread, in this slot, need not make a timer.  Its due_ns is set. */
bool cpu_late_join(struct thread_slot *slot);

/* Calls arm for who has waited long enough.  Returns when (os_monotonic_ns) to come again;
 * UINT64_MAX: when it rings. */
uint64_t cpu_late_go(void (*arm)(struct thread_slot *slot));

/* A fork child: nobody waits. */
void cpu_late_after_fork(void);

#endif
