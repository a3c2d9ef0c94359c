/* preload/hook_locks.h -- what the doors of all locks have in common.
 *
 *     a lock      peek: free -> real            else: would it wait? begin, real, end
 *     a mutex     nobody else there: real       else the same (sampler/mutex_gates.h)
 *     to write    try: done                     else the same
 *     an unlock   hook_unlock.c
 *     a pause     begin, real, end
 *
 * The doors take no time of their own from a lock that nobody waits for: a peek, and a jump.
 * A thread that is cancelled in a wait, or leaves it by a jump, passes these frames without a
 * handler of ours: locks.h takes it out later.
 *
 * A peek at a word that an atomic instruction has just written waits until that is through: 0.7 ns
 * on one processor, 3 ns on a newer one (Xeon, family 6, model 207).  Trying first takes no time
 * from a writer of a read-write lock, and leaves none in which another may come; of a mutex it
 * would take as much as the peek. */
#ifndef PRELOAD_HOOK_LOCKS_H
#define PRELOAD_HOOK_LOCKS_H

#include <errno.h>
#include <stdbool.h>
#include <threads.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/compiler.h"
#include "sampler/locks.h"
#include "sampler/threads.h"
#include "sampler/unwind_libunwind.h"

/* What POSIX threads return: a timeout has waited. */
static inline bool has_waited(int err)
{
	return err == 0 || err == ETIMEDOUT || err == ENOTRECOVERABLE;
}

/* Also who finds that its last holder has died.  C11's results are smaller. */
static inline bool has_got(int result)
{
	return result == 0 || result == EOWNERDEAD;
}

static inline bool has_waited_c11(int result)
{
	return result == thrd_success || result == thrd_timedout;
}

/* What is locked inside of a walk of ours is libunwind's; and once the host has forbidden itself
 * system calls, a lock's owner may not be compared with the caller. */
static inline bool is_measured(void)
{
	return !threads_sealed() && !unwind_libunwind_walks();
}

/* wait_in_NAME.  held: would it really wait. */
#define LOCK_WAIT(name, params, args, lock, held, waited)        \
	static NOINLINE int wait_in_##name params                \
	{                                                        \
		struct locks_wait wait;                          \
		int result;                                      \
                                                                 \
		if (!is_measured() || !(held))                   \
			return real.name args;                   \
		locks_wait_begin(&wait, lock);                   \
		result = real.name args;                         \
		locks_wait_end(&wait, has_got(result) ? LOCKS_GOT \
						      : waited(result)); \
		return result;                                   \
	}

/* free: the peek. */
#define LOCK_DOOR(name, params, args, lock, free, held, waited)  \
	LOCK_WAIT(name, params, args, lock, held, waited)        \
                                                                 \
	EXPORT int name params                                   \
	{                                                        \
		if (likely(free))                                \
			return real.name args;                   \
		return wait_in_##name args;                      \
	}

/* on: what is waited for; before: what is done first. */
#define PAUSE_DOOR(name, params, args, on, before, waited)       \
	EXPORT int name params                                   \
	{                                                        \
		struct locks_wait pause;                         \
		int result;                                      \
                                                                 \
		before;                                          \
		locks_pause_begin(&pause, on);                   \
		result = real.name args;                         \
		locks_pause_end(&pause, waited(result));         \
		return result;                                   \
	}

#endif
