/* The doors of mutexes and spin locks, C11's too.  Those that only try have none: they neither wait
 * nor give anything back.  pthread_once has none: one wait in the life of a program.  Unlocks:
 * hook_unlock.c. */
#include "preload/hook_mutex.h"

#include "preload/hook_locks.h"
#include "preload/lock_words.h"
#include "sampler/mutex_gates.h"

#define MTX(m) ((pthread_mutex_t *)(m))

static bool makes_wait(const pthread_mutex_t *m)
{
	bool is = mutex_is_held(m);

	if (is)
		mutex_gates_waits();
	return is;
}

/* --- by the gates ---------------------------------------------------------------------------- */

#define BY(peek, name, type, free)                                       \
	static int by_##peek##_##name(type *m)                           \
	{                                                                \
		if (likely(free(MTX(m))))                                \
			return real.name(m);                             \
		return wait_in_##name(m);                                \
	}

#define WAYS(name, type, waited)                                         \
	LOCK_WAIT(name, (type * m), (m), m, makes_wait(MTX(m)), waited)  \
	BY(owner, name, type, mutex_has_no_owner)                        \
	BY(word, name, type, mutex_looks_free)

WAYS(pthread_mutex_lock, pthread_mutex_t, has_waited)
WAYS(mtx_lock, mtx_t, has_waited_c11)

#define BOTH(peek) { (lock_gate)by_##peek##_pthread_mutex_lock, (lock_gate)by_##peek##_mtx_lock }

static struct mutex_gates gates = { .now = BOTH(owner), .owner = BOTH(owner), .word = BOTH(word) };

void hook_mutex_resolved(void)
{
	gates.alone[MUTEX_GATE_POSIX] = (lock_gate)real.pthread_mutex_lock;
	gates.alone[MUTEX_GATE_C11] = (lock_gate)real.mtx_lock;
	mutex_gates_use(&gates);
}

/* As in hook_unlock.c: read plainly. */
#define DOOR(name, type, gate)                                           \
	EXPORT int name(type *m)                                         \
	{                                                                \
		return ((int (*)(type *))gates.now[gate])(m);            \
	}

DOOR(pthread_mutex_lock, pthread_mutex_t, MUTEX_GATE_POSIX)
DOOR(mtx_lock, mtx_t, MUTEX_GATE_C11)

/* --- with a timeout -------------------------------------------------------------------------- */

#define TIMED(name, params, args, waited) \
	LOCK_DOOR(name, params, args, m, mutex_looks_free(MTX(m)), makes_wait(MTX(m)), waited)

TIMED(pthread_mutex_timedlock, (pthread_mutex_t * m, const struct timespec *until), (m, until),
      has_waited)
TIMED(pthread_mutex_clocklock,
      (pthread_mutex_t * m, clockid_t clock, const struct timespec *until), (m, clock, until),
      has_waited)
TIMED(mtx_timedlock, (mtx_t * m, const struct timespec *until), (m, until), has_waited_c11)

/* --- spin locks ------------------------------------------------------------------------------ */

LOCK_DOOR(pthread_spin_lock, (pthread_spinlock_t * s), (s), (const void *)(uintptr_t)s,
	  spin_is_free(s), !spin_is_free(s), has_waited)
