/* The doors of waits in which nobody holds anything: conditions, joins, barriers, semaphores, C11's
 * too.  Who signals, broadcasts or posts neither waits nor gives back a lock: no doors.
 *
 * A wait for a condition gives back its mutex, so its caller is charged as by an unlock.  That it
 * waits for the mutex again before it returns is inside of libc, and a part of the pause. */
#include "preload/hook_locks.h"
#include "preload/lock_words.h"

static COLD void charge_before_pause(const pthread_mutex_t *m)
{
	struct locks_charge charge;

	if (!is_measured() || !mutex_gives_way(m))
		return;
	locks_release_begin(&charge, m);
	locks_release_end(&charge);
}

static inline void give_back(const pthread_mutex_t *m)
{
	if (locks_is_awaited(m))
		charge_before_pause(m);
}

/* --- conditions ------------------------------------------------------------------------------ */

PAUSE_DOOR(pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m), c,
	   give_back(m), has_waited)
PAUSE_DOOR(pthread_cond_timedwait,
	   (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *until), (c, m, until),
	   c, give_back(m), has_waited)
PAUSE_DOOR(pthread_cond_clockwait,
	   (pthread_cond_t * c, pthread_mutex_t *m, clockid_t clock, const struct timespec *until),
	   (c, m, clock, until), c, give_back(m), has_waited)

PAUSE_DOOR(cnd_wait, (cnd_t * c, mtx_t *m), (c, m), c, give_back((pthread_mutex_t *)m),
	   has_waited_c11)
PAUSE_DOOR(cnd_timedwait, (cnd_t * c, mtx_t *m, const struct timespec *until), (c, m, until),
	   c, give_back((pthread_mutex_t *)m), has_waited_c11)

/* --- joins and barriers ---------------------------------------------------------------------- */

PAUSE_DOOR(pthread_join, (pthread_t t, void **result_of), (t, result_of), NULL, , has_waited)
PAUSE_DOOR(pthread_timedjoin_np, (pthread_t t, void **result_of, const struct timespec *until),
	   (t, result_of, until), NULL, , has_waited)
PAUSE_DOOR(pthread_clockjoin_np,
	   (pthread_t t, void **result_of, clockid_t clock, const struct timespec *until),
	   (t, result_of, clock, until), NULL, , has_waited)
PAUSE_DOOR(thrd_join, (thrd_t t, int *result_of), (t, result_of), NULL, , has_waited_c11)

/* One of its threads gets PTHREAD_BARRIER_SERIAL_THREAD; nobody is refused. */
#define HAS_WAITED_ALWAYS(result) true
PAUSE_DOOR(pthread_barrier_wait, (pthread_barrier_t * b), (b), b, , HAS_WAITED_ALWAYS)

/* --- semaphores ------------------------------------------------------------------------------ */

static bool has_waited_by_errno(int result)
{
	return result == 0 || errno == ETIMEDOUT || errno == EINTR;
}

/* A value is taken without a wait. */
#define SEMAPHORE_DOOR(name, params, args)                               \
	static COLD int pause_in_##name params                           \
	{                                                                \
		struct locks_wait pause;                                 \
		int result;                                              \
                                                                         \
		locks_pause_begin(&pause, s);                            \
		result = real.name args;                                 \
		locks_pause_end(&pause, has_waited_by_errno(result));    \
		return result;                                           \
	}                                                                \
                                                                         \
	EXPORT int name params                                           \
	{                                                                \
		if (semaphore_is_free(s))                                \
			return real.name args;                           \
		return pause_in_##name args;                             \
	}

SEMAPHORE_DOOR(sem_wait, (sem_t * s), (s))
SEMAPHORE_DOOR(sem_timedwait, (sem_t * s, const struct timespec *until), (s, until))
SEMAPHORE_DOOR(sem_clockwait, (sem_t * s, clockid_t clock, const struct timespec *until),
	       (s, clock, until))
