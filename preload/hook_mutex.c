/* The doors of mutexes and spin locks, C11's too.  Those that only try have none: they neither wait
 * nor give anything back.  pthread_once has none: one wait in the life of a program.  Unlocks:
 * hook_unlock.c. */
#include "preload/hook_locks.h"
#include "preload/lock_words.h"

#define MUTEX_DOOR(name, params, args) \
	LOCK_DOOR(name, params, args, m, mutex_looks_free(m), mutex_is_held(m), has_waited)

MUTEX_DOOR(pthread_mutex_lock, (pthread_mutex_t * m), (m))
MUTEX_DOOR(pthread_mutex_timedlock, (pthread_mutex_t * m, const struct timespec *until), (m, until))
MUTEX_DOOR(pthread_mutex_clocklock,
	   (pthread_mutex_t * m, clockid_t clock, const struct timespec *until), (m, clock, until))

/* --- C11 ------------------------------------------------------------------------------------- */

#define MTX(m) ((pthread_mutex_t *)(m))

#define MTX_DOOR(name, params, args)                                                           \
	LOCK_DOOR(name, params, args, m, mutex_looks_free(MTX(m)), mutex_is_held(MTX(m)),      \
		  has_waited_c11)

MTX_DOOR(mtx_lock, (mtx_t * m), (m))
MTX_DOOR(mtx_timedlock, (mtx_t * m, const struct timespec *until), (m, until))

/* --- spin locks ------------------------------------------------------------------------------ */

LOCK_DOOR(pthread_spin_lock, (pthread_spinlock_t * s), (s), (const void *)(uintptr_t)s,
	  spin_is_free(s), !spin_is_free(s), has_waited)
