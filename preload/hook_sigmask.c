/* The doors of the signal mask: a thread that blocks SIGPROF gets no ticks, so that what it waits
 * for or looks at is its own. */
#include <signal.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/cpu_ctl.h"

/* The timer stops before the mask changes, and goes on after it has. */
#define MASK_DOOR(name)                                                              \
	EXPORT int name(int how, const sigset_t *set, sigset_t *old)                 \
	{                                                                            \
		bool has = set != NULL && sigismember(set, SIGPROF) == 1;            \
		int result;                                                          \
                                                                                     \
		if (has && (how == SIG_BLOCK || how == SIG_SETMASK))                 \
			cpu_ctl_hold();                                              \
		result = real.name(how, set, old);                                   \
		if (set != NULL && (has ? how == SIG_UNBLOCK : how == SIG_SETMASK))  \
			cpu_ctl_release();                                           \
		return result;                                                       \
	}

MASK_DOOR(sigprocmask)
MASK_DOOR(pthread_sigmask)
