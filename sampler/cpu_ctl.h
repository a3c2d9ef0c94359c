/* sampler/cpu_ctl.h -- the timers of the CPU profile.
 *
 * Each thread has one on its own CPU clock.  Where RLIMIT_SIGPENDING leaves no room for so many,
 * one on the clock of the process stands in for all (cpu_scan.h decides): the kernel gives its tick
 * to the thread that runs.
 *
 * Context   hold, release, ignore: any, inside handlers of the host's too.  The rest: the
 *           constructor, the thread doors, a fork child, our thread. */
#ifndef SAMPLER_CPU_CTL_H
#define SAMPLER_CPU_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/threads.h"

/* Samples per second of CPU time, 0 off; all timers follow.  Above the kernel's tick (CONFIG_HZ)
 * several periods arrive as one signal with overruns. */
void cpu_ctl_set_hz(unsigned hz);
unsigned cpu_ctl_hz(void);
/* More than that for a while, also if that is 0: what open windows ask for; 0 nothing.  A change of
 * the rate in force begins all timers anew: periods that are over, but not noticed (until the
 * kernel's next tick), are lost, 2 ms of each running thread on average. */
void cpu_ctl_raise_hz(unsigned hz);
/* The rate in force: the greater one. */
unsigned cpu_ctl_hz_now(void);

/* True if threads that use the CPU will get ticks. */
bool cpu_ctl_ticks(void);

/* True if the calling thread is sampled by a timer of its own, which goes. */
bool cpu_ctl_may_tick(void);

/* A timer for the thread in this slot, with a random first expiry.  If there is none to be had
 * (RLIMIT_SIGPENDING), the thread is not sampled and adds to count.thread_no_timer. */
void cpu_ctl_arm(struct thread_slot *slot);
void cpu_ctl_disarm(struct thread_slot *slot);
/* The same for the calling thread, which has just been born: it may get its timer a moment later,
 * from our thread (cpu_late.h), which listens while it can be rung for; ring NULL: no more.
 * cpu_ctl_late returns when (os_monotonic_ns) to call it again. */
void cpu_ctl_begin(struct thread_slot *slot);
void cpu_ctl_listen(void (*ring)(void));
uint64_t cpu_ctl_late(void);
/* A tick of the calling thread, and its end: how many periods are to be counted (cpu_due.h). */
uint64_t cpu_ctl_ticked(uint64_t periods);
uint64_t cpu_ctl_last(void);
/* After a first expiry that was not random: the calling thread's next one is again.  Context: a
 * tick. */
void cpu_ctl_begin_anew(void);
/* The thread in this slot ends, or has ended: slot->tid is 0. */
void cpu_ctl_leave(struct thread_slot *slot);

/* Why a thread must get no tick.  SIGPROF is blocked: a tick would wait where sigwait, signalfd and
 * sigpending see it.  Its alternate stack is small (altstack.h): a tick would end the process. */
enum cpu_hold { CPU_HOLD_MASK = 1, CPU_HOLD_STACK = 2, CPU_HOLDS = 3 };

/* The calling thread is about to be so: from now on its timer stands still.  True if it was not yet
 * held for this reason. */
bool cpu_ctl_hold(enum cpu_hold why);
/* It is no longer so: the timer goes on, if it is not held for the other reason. */
void cpu_ctl_release(enum cpu_hold why);

/* The same for the mask of a thread that is looked at from outside: only if slot->held is still
 * `seen`, so that the thread itself has not been at it since.  False: it has. */
bool cpu_ctl_hold_other(struct thread_slot *slot, uint32_t seen);
bool cpu_ctl_release_other(struct thread_slot *slot, uint32_t seen);

/* The kernel ignores SIGPROF from now on, or does no longer.  Timers stand still meanwhile: they
 * would count what was missed, and it would all go to the first stack after. */
void cpu_ctl_ignore(bool ignored);
bool cpu_ctl_is_ignored(void);

/* Our thread works, or waits for its clients: what it uses of the CPU is not the host's, and the
 * tick for it would be given to one of the host's threads that sleep.  (Threads' own timers do not
 * count it.)
 *
 * The kernel looks at the timer at its own ticks (CONFIG_HZ), on the thread that runs then, and if
 * that has SIGPROF blocked it wakes another.  So one is woken all the same if the kernel's tick
 * falls between our thread's waking up, after the host's threads used up a period, and its coming
 * here, a microsecond or two: we saw one in 44,000 requests.  Or on a thread that libc makes
 * or ends, which for as long has all signals blocked.  Our thread cannot let SIGPROF in instead: it
 * would take what is meant for the host's sigwait. */
void cpu_ctl_desk_works(bool works);

/* One timer for all threads, or each its own again.  Context: our thread. */
void cpu_ctl_one_for_all(bool one);
bool cpu_ctl_is_one_for_all(void);

/* True once after a thread found no timer. */
bool cpu_ctl_was_short(void);

/* A fork child: a timer for the only thread.  Its first expiry comes after first_ns of CPU.  False:
 * no tick will come. */
bool cpu_ctl_after_fork(uint64_t first_ns);
/* The same before that, writing to nothing but self (threads_settle).  False: it does not go that
 * way. cpu_ctl_after_fork then takes the timer over. */
bool cpu_ctl_wake_child(uint64_t first_ns);

#endif
