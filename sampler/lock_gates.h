/* sampler/lock_gates.h -- where the doors of unlocks lead: on to the real function, or, while a
 * chosen wait is under way, by way of a look at whether it is for this lock.
 *
 * So an unlock that nobody waits for is one instruction of ours, a jump; a test of a counter would
 * be two more.  The table is the doors' (preload/hook_unlock.c): it is filled before any
 * constructor runs, and this part turns it.
 *
 * Context   lock_gates_*: any thread, inside handlers; lock-free.  A door reads one pointer.
 * Errors    an unlock that comes between a wait's beginning and its turn of the gates is not
 *           charged: nanoseconds; and as long as a thread is not run right between two stores. */
#ifndef SAMPLER_LOCK_GATES_H
#define SAMPLER_LOCK_GATES_H

enum { LOCK_GATE_MUTEX, LOCK_GATE_C11, LOCK_GATE_SPIN, LOCK_GATE_RWLOCK, LOCK_GATES };

/* Of whatever type. */
typedef void (*lock_gate)(void);

struct lock_gates {
	_Alignas(64) lock_gate now[LOCK_GATES];
	lock_gate bare[LOCK_GATES];     /* nobody waits */
	lock_gate watch[LOCK_GATES];    /* somebody does */
};

/* From now on these are turned. */
void lock_gates_use(struct lock_gates *gates);

/* locks_waits has become more. */
void lock_gates_watch(void);
/* It has become 0. */
void lock_gates_calm(void);

#endif
