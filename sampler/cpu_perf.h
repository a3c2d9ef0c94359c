/* sampler/cpu_perf.h -- PPROFSHIM_CPU_CLOCK=perf: the perf_event_open clock, for true high rates.
 *
 * The kernel's CPU timers are looked at at its own tick; perf's cpu-clock has a high-resolution
 * timer: 4999 signals in 5 s at 1000 Hz, where a CPU timer gave 1250 with overruns.  What it costs
 * otherwise, measured on Linux 6.18, four threads that compute for 50 us and wait for 0.3 to 1 ms:
 *
 *   it counts the kernel, too    177 of 37,786 waits ended with EINTR at 1 kHz, 2,369 of 32,396 at
 *                                10 kHz: its signal is an ordinary one, and comes in system calls
 *   the program alone            0 of 38,108, 0 of 35,195; but a thread that reads /dev/zero all
 *                                the time had 8 samples in 5 s
 *   a CPU timer                  0 of 38,879; and every one in the kernel is there
 *
 * So a thread's event counts the program alone (which perf_event_paranoid 2 allows to anybody), and
 * of its CPU timer's ticks those count that came in a system call.  Page faults and interrupts are
 * in neither.  And an event is a descriptor among the host's, which no thread of ours could hold
 * for it: it must be closed at once when the thread blocks SIGPROF.  Therefore `auto` is the timer.
 *
 * Descriptors are high, CLOEXEC, a quarter of RLIMIT_NOFILE at most, known by perf's id before they
 * are closed, and opened at a thread's first tick: threads of a moment have none.  Where a host has
 * closed one, the next tick of the thread's timer finds out, counts, and opens another.  A SIGPROF
 * of the host's own with the same number in si_fd cannot be, the descriptor is taken.
 *
 * Context   cpu_perf_init: the constructor.  cpu_perf_after_fork: a fork child.  The rest: the
 *           calling thread, in its tick, its doors, its end.
 * When full or refused: the thread has its timer, as without this. */
#ifndef SAMPLER_CPU_PERF_H
#define SAMPLER_CPU_PERF_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "sampler/compiler.h"
#include "sampler/threads.h"

/* From now on it is used.  -errno: it is not to be had. */
MUST_CHECK int cpu_perf_init(void);

/* This signal is from the calling thread's event; and it is a period of it. */
bool cpu_perf_is(const siginfo_t *info);
bool cpu_perf_counts(const struct thread_slot *slot, const siginfo_t *info);

/* At a tick of its CPU timer: true if that is to be counted. */
bool cpu_perf_leaves(struct thread_slot *slot, const ucontext_t *uc);
/* After that: the thread has an event with this period, if it can be. */
void cpu_perf_follow(struct thread_slot *slot, uint64_t period_ns);
/* It has none any more: it is held, or ends. */
void cpu_perf_end(struct thread_slot *slot);
/* The thread of this slot has gone without that.  Context: our thread, which has no descriptors of
 * the host's: the next thread that opens an event closes it. */
void cpu_perf_orphan(struct thread_slot *slot);

/* Closes what it inherited. */
void cpu_perf_after_fork(void);

/* True if a signal came as the thread returned from a system call: cpu_perf_<arch>.c. */
bool cpu_perf_after_call(const ucontext_t *uc);

#endif
