/* sampler/mutex_gates.h -- where the doors that lock a mutex lead: on to the real function, or past
 * a peek, as far as somebody could make the caller wait.
 *
 *     alone     one thread, and no memory that another process could have a lock in: nobody
 *     owner     a peek at __owner, which is 0 while nobody has it
 *     word      a peek at __lock: from the first time on that somebody has to wait
 *
 * The peeks differ for the few ns in which a mutex is taken or given back: of short turns that
 * others wait for that would be half of the waits, so the first is only for a process in which
 * nobody waits.  And __lock was mostly just written by an atomic instruction, which a peek would
 * wait for (preload/hook_locks.h).
 *
 * The table is the doors' (preload/hook_mutex.c), which go by it from the first call on; this part
 * turns it, forward only.  A fork child goes on where its parent was.
 *
 * Context   any thread, inside handlers; lock-free.  A door reads one pointer.
 * Errors    a thread that came without a door (libc's own for a timer, a clone) is noticed when it
 *           is sampled, or our thread comes by; memory that was shared by a system call without
 *           one is not.  Until then waits are not seen. */
#ifndef SAMPLER_MUTEX_GATES_H
#define SAMPLER_MUTEX_GATES_H

#include "sampler/lock_gates.h"

enum { MUTEX_GATE_POSIX, MUTEX_GATE_C11, MUTEX_GATES };

struct mutex_gates {
	_Alignas(64) lock_gate now[MUTEX_GATES];
	lock_gate alone[MUTEX_GATES], owner[MUTEX_GATES], word[MUTEX_GATES];
};

/* From now on these are turned; `now` is at `owner`. */
void mutex_gates_use(struct mutex_gates *gates);

/* There is, or is going to be, another thread, or a process with which memory is shared. */
void mutex_gates_others(void);
/* Somebody has to wait for a mutex. */
void mutex_gates_waits(void);

#endif
