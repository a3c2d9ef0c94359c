/* The doors of read-write locks.  Each of several readers is charged for the time until its own
 * unlock, the last one for the rest. */
#include "preload/hook_locks.h"
#include "preload/lock_words.h"

#define READ_DOOR(name, params, args)                                 \
	LOCK_DOOR(name, params, args, l, rwlock_looks_free_to_read(l), \
		  rwlock_is_held_to_read(l), has_waited)

#define WRITE_DOOR(name, params, args)                                 \
	LOCK_DOOR(name, params, args, l, rwlock_looks_free_to_write(l), \
		  rwlock_is_held_to_write(l), has_waited)

READ_DOOR(pthread_rwlock_rdlock, (pthread_rwlock_t * l), (l))
READ_DOOR(pthread_rwlock_timedrdlock, (pthread_rwlock_t * l, const struct timespec *until),
	  (l, until))
READ_DOOR(pthread_rwlock_clockrdlock,
	  (pthread_rwlock_t * l, clockid_t clock, const struct timespec *until), (l, clock, until))

LOCK_WAIT(pthread_rwlock_wrlock, (pthread_rwlock_t * l), (l), l, rwlock_is_held_to_write(l),
	  has_waited)

EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	if (likely(real.try_to_write(l) == 0))
		return 0;
	return wait_in_pthread_rwlock_wrlock(l);
}

WRITE_DOOR(pthread_rwlock_timedwrlock, (pthread_rwlock_t * l, const struct timespec *until),
	   (l, until))
WRITE_DOOR(pthread_rwlock_clockwrlock,
	   (pthread_rwlock_t * l, clockid_t clock, const struct timespec *until), (l, clock, until))
