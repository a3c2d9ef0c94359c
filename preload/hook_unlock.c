/* The doors of what gives a lock back: one jump, by the gates (sampler/lock_gates.h).  Until the
 * list of real functions is resolved they lead to the looks, which go on to those that resolve. */
#include "preload/hook_unlock.h"

#include "preload/hook_locks.h"
#include "preload/lock_words.h"
#include "sampler/lock_gates.h"

/* gives_way: others can have it after this. */
#define UNLOCK(name, params, args, lock, gives_way)              \
	static COLD int charge_in_##name params                  \
	{                                                        \
		struct locks_charge charge;                      \
		int result;                                      \
                                                                 \
		if (!is_measured() || !(gives_way))              \
			return real.name args;                   \
		locks_release_begin(&charge, lock);              \
		result = real.name args;                         \
		locks_release_end(&charge);                      \
		return result;                                   \
	}                                                        \
                                                                 \
	static int look_in_##name params                         \
	{                                                        \
		if (likely(!locks_release_counts(lock)))         \
			return real.name args;                   \
		return charge_in_##name args;                    \
	}

#define MTX(m)  ((pthread_mutex_t *)(m))
#define SPIN(s) ((const void *)(uintptr_t)(s))

UNLOCK(pthread_mutex_unlock, (pthread_mutex_t * m), (m), m, mutex_gives_way(m))
UNLOCK(mtx_unlock, (mtx_t * m), (m), m, mutex_gives_way(MTX(m)))
UNLOCK(pthread_spin_unlock, (pthread_spinlock_t * s), (s), SPIN(s), true)
UNLOCK(pthread_rwlock_unlock, (pthread_rwlock_t * l), (l), l, true)

#define LOOKS { (lock_gate)look_in_pthread_mutex_unlock, (lock_gate)look_in_mtx_unlock, \
		(lock_gate)look_in_pthread_spin_unlock, (lock_gate)look_in_pthread_rwlock_unlock }

static struct lock_gates gates = { .now = LOOKS, .watch = LOOKS };

void hook_unlock_resolved(void)
{
	gates.bare[LOCK_GATE_MUTEX] = (lock_gate)real.pthread_mutex_unlock;
	gates.bare[LOCK_GATE_C11] = (lock_gate)real.mtx_unlock;
	gates.bare[LOCK_GATE_SPIN] = (lock_gate)real.pthread_spin_unlock;
	gates.bare[LOCK_GATE_RWLOCK] = (lock_gate)real.pthread_rwlock_unlock;
	lock_gates_use(&gates);
}

/* The gate is read plainly, beside whoever turns it: a pointer comes whole, and an atomic load
 * would be an instruction of its own. */
#define DOOR(name, type, gate)                                           \
	EXPORT int name(type *lock)                                      \
	{                                                                \
		return ((int (*)(type *))gates.now[gate])(lock);         \
	}

DOOR(pthread_mutex_unlock, pthread_mutex_t, LOCK_GATE_MUTEX)
DOOR(mtx_unlock, mtx_t, LOCK_GATE_C11)
DOOR(pthread_spin_unlock, pthread_spinlock_t, LOCK_GATE_SPIN)
DOOR(pthread_rwlock_unlock, pthread_rwlock_t, LOCK_GATE_RWLOCK)
