/* sampler/cpu_ctl.h -- the timers of the CPU profile.
 *
 * Context   never inside a handler: the constructor, the thread doors, a fork child, our thread. */
#ifndef SAMPLER_CPU_CTL_H
#define SAMPLER_CPU_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/threads.h"

/* Samples per second of CPU time, 0 off; all timers follow.  Above the kernel's tick (CONFIG_HZ)
 * several periods arrive as one signal with overruns. */
void cpu_ctl_set_hz(unsigned hz);
unsigned cpu_ctl_hz(void);

/* A timer for the thread in this slot, with a random first expiry.  If the kernel refuses
 * (RLIMIT_SIGPENDING), the thread is not sampled and adds to count.thread_no_timer. */
void cpu_ctl_arm(struct thread_slot *slot);
void cpu_ctl_disarm(struct thread_slot *slot);

/* The calling thread is about to block SIGPROF, or has let it in again.  A tick that cannot be
 * delivered would wait where sigwait, signalfd and sigpending see it: while the signal is blocked
 * the timer stands still.  A mask that changes by another road (siglongjmp) is seen by the scan. */
void cpu_ctl_hold(void);
void cpu_ctl_release(void);

/* A fork child: a timer for the only thread.  Its first expiry comes after first_ns of CPU. */
void cpu_ctl_after_fork(uint64_t first_ns);

/* Our thread, now and then: finds threads that came another way (raw clone, libc's own, born
 * before us) and gives them a slot and a timer; releases slots whose thread has gone. */
void cpu_ctl_scan(void);

#endif
