/* The doors of the signal mask: a thread that blocks SIGPROF gets no ticks, so that what it waits
 * for or looks at is its own.  The timer stops before the mask changes, and goes on after it has.
 *
 * sigpause, sigsuspend, ppoll and the like need no door: they change the mask for as long as the
 * thread sleeps, when its timer does not run.
 *
 * libunwind's own calls, in a walk of ours, are not the host's. */
#include <signal.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/signals.h"
#include "sampler/cpu_ctl.h"
#include "sampler/unwind_libunwind.h"

#define MASK_DOOR(name)                                                              \
	EXPORT int name(int how, const sigset_t *set, sigset_t *old)                 \
	{                                                                            \
		bool has = set != NULL && sigismember(set, SIGPROF) == 1;            \
		int result;                                                          \
                                                                                     \
		if (unwind_libunwind_walks())                                        \
			return real.name(how, set, old);                             \
		if (has && (how == SIG_BLOCK || how == SIG_SETMASK))                 \
			cpu_ctl_hold(CPU_HOLD_MASK);                                 \
		result = real.name(how, set, old);                                   \
		if (set != NULL && (has ? how == SIG_UNBLOCK : how == SIG_SETMASK))  \
			cpu_ctl_release(CPU_HOLD_MASK);                              \
		return result;                                                       \
	}

MASK_DOOR(sigprocmask)
MASK_DOOR(pthread_sigmask)

EXPORT int sighold(int sig)
{
	if (sig == SIGPROF)
		cpu_ctl_hold(CPU_HOLD_MASK);
	return real.sighold(sig);
}

EXPORT int sigrelse(int sig)
{
	int result = real.sigrelse(sig);

	if (sig == SIGPROF)
		cpu_ctl_release(CPU_HOLD_MASK);
	return result;
}

/* BSD's: a mask of the first 32 signals. */
static bool has_sigprof(int mask)
{
	return ((unsigned)mask >> (SIGPROF - 1) & 1) != 0;
}

EXPORT int sigblock(int mask)
{
	if (has_sigprof(mask))
		cpu_ctl_hold(CPU_HOLD_MASK);
	return real.sigblock(mask);
}

EXPORT int sigsetmask(int mask)
{
	int result;

	if (has_sigprof(mask))
		cpu_ctl_hold(CPU_HOLD_MASK);
	result = real.sigsetmask(mask);
	if (!has_sigprof(mask))
		cpu_ctl_release(CPU_HOLD_MASK);
	return result;
}

void signals_look_at_mask(struct thread_slot *slot)
{
	sigset_t mask;

	if (slot != NULL && real.pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0 &&
	    sigismember(&mask, SIGPROF) == 1)
		cpu_ctl_hold_other(slot, slot->held);
}
