/* preload/lock_words.h -- what the words of glibc's locks say: would the caller wait, and would its
 * unlock let others go on?  They are part of its ABI, because static initialisers fix them.
 *
 *     kind                         free             held                         holder
 *     normal, adaptive             0                1; 2: somebody may wait      not asked
 *     recursive, error-checking    0                1, 2                         __owner
 *     robust, priority-inheriting  0, OWNER_DIED    TID, with WAITERS            in the word
 *     priority-protected           ceiling << 19    ceiling << 19 | 1 or 2       as its type
 *     elided (Intel TSX)           as its type; while it is elided it is 0, and nobody waits
 *     read-write                   __readers: 1 write phase, 2 a writer has it or is the next,
 *                                  4 a reader waits for the phase, then the number of readers;
 *                                  __wrphase_futex: not 0 in a write phase,
 *                                  or if a writer sleeps until it comes
 *     semaphore                    the low half is the value
 *     spin lock (x86)              1                0 and below
 *
 * The kinds combine: a robust mutex that is recursive, one shared between processes.  C11's mtx_t
 * is a pthread_mutex_t.
 *
 * Only a measurement hangs on these answers: they may be old when they are used. */
#ifndef PRELOAD_LOCK_WORDS_H
#define PRELOAD_LOCK_WORDS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

#include "sampler/compiler.h"

#define LOCK_WORD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

/* --- the peeks: false is looked at again, by the functions below -----------------------------
 *
 * Read plainly, beside whoever writes: one read of an int. */

/* One instruction, and a jump: gcc 12 would make two of it. */
static inline bool reads_0(const void *word)
{
#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__)
	bool is;

	__asm__("cmpl $0, %1" : "=@cce"(is) : "m"(*(const unsigned *)word));
	return is;
#else
	return *(const unsigned *)word == 0;
#endif
}

/* Which of the two when: sampler/mutex_gates.h.  All kinds say by their owner that they are free,
 * also those whose word is not 0 then. */
static inline bool mutex_has_no_owner(const pthread_mutex_t *m)
{
	return reads_0(&m->__data.__owner);
}

static inline bool mutex_looks_free(const pthread_mutex_t *m)
{
	return reads_0(&m->__data.__lock);
}

#define RWLOCK_WRITE_PHASE 1u
#define RWLOCK_WRITER      2u
#define RWLOCK_READERS     (~7u)

static inline bool rwlock_looks_free_to_read(const pthread_rwlock_t *l)
{
	/* 0: it is the readers' phase, and no writer sleeps, for whom some locks make readers wait.
	 * Each reader writes __readers, and a look at that would wait for the write. */
	return likely(reads_0(&l->__data.__wrphase_futex)) ||
	       (l->__data.__readers & RWLOCK_WRITER) == 0;
}

static inline bool rwlock_looks_free_to_write(const pthread_rwlock_t *l)
{
	return (l->__data.__readers & ~RWLOCK_WRITE_PHASE) == 0;
}

static inline bool semaphore_is_free(const sem_t *s)
{
	return *(const unsigned *)(const void *)s != 0;
}

static inline bool spin_is_free(const pthread_spinlock_t *s)
{
	return *s > 0;
}

/* --- where the peek has said no -------------------------------------------------------------- */

/* The caller would have to wait; false if it is refused at once, or has it already. */
bool mutex_is_held(const pthread_mutex_t *m);
bool rwlock_is_held_to_read(const pthread_rwlock_t *l);
bool rwlock_is_held_to_write(const pthread_rwlock_t *l);

/* An unlock by the caller lets others have it: it is the holder, once. */
bool mutex_gives_way(const pthread_mutex_t *m);

#endif
