/* sampler/asks.h -- a thread that runs is asked what it does.
 *
 * By a timer on its own CPU clock, made for this one question, that expires after a nanosecond: so
 * the signal comes at the kernel's next tick that finds the thread running, and at none if it
 * has gone to sleep meanwhile (no EINTR: hazards of cpu_ctl.h hold here too).  The handler writes
 * what it finds into the ask.
 *
 * The sampler's own timer is not touched.  To re-arm that one would lose what it had counted since
 * its last tick and would put the next one where we want it: with many questions, samples would be
 * fewer, and more of them where threads are asked.  So a tick of the sampler's comes when it would
 * have come, with the weight that it would have had, and a question counts as no sample; both
 * signals may wait side by side.
 *
 * Context   asks_is, asks_answer: inside SIGPROF.  asks_withdraw: any, as cpu_ctl_hold.  The rest:
 *           our thread.
 * Memory    ASKS_MAX questions of 2.3 KiB and a stack, mapped at the first; pages touched as
 *           used.  They stand apart from the slots: few threads run at any time.
 * When full the thread is not asked; also where RLIMIT_SIGPENDING leaves few timers (cpu_timers.h),
 *           where SIGPROF is ignored, and where the thread has it blocked or has a small alternate
 *           stack (cpu_ctl.h), or no slot. */
#ifndef SAMPLER_ASKS_H
#define SAMPLER_ASKS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "sampler/threads.h"

#define ASKS_MAX 64u

struct asks_answer {
	uint64_t at_ns;
	unsigned depth;
	bool     truncated;
};

/* True if an answer is there that is not older (os_monotonic_ns).  It is given out once; an older
 * one is thrown away. */
bool asks_take(int tid, uint64_t since_ns, struct asks_answer *out, uintptr_t *pc, unsigned max);

/* Asks, unless that has been done. */
void asks_ask(int tid);

/* Those that nobody will take an answer to: who asked has gone away without asks_give_up (a request
 * that was cut off).  Now and then. */
void asks_give_up_stale(void);

/* Whoever was asked before that need not answer any more; tid 0: all of them. */
void asks_give_up(int tid, uint64_t before_ns);

/* The thread in this slot must get no signal from now on (cpu_ctl_hold), or ends. */
void asks_withdraw(struct thread_slot *slot);

/* This signal is a question. */
bool asks_is(const siginfo_t *info);
void asks_answer(const siginfo_t *info, const ucontext_t *uc);

/* A fork child: nobody has been asked.  Its only thread. */
void asks_after_fork(void);

#endif
