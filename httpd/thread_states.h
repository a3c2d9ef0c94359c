/* httpd/thread_states.h -- in Go's words, what a thread waits for: "sync.Mutex.Lock", "IO wait".
 *
 * The system call says it, and of a futex the function that waits: libc's by its exported name,
 * Rust's by how its path ends.
 *
 *     poll, select, epoll_wait, io_uring_enter         select  (poll of one: IO wait)
 *     read, write, send, recv, accept, connect ...     IO wait
 *     nanosleep, poll or select of nothing             sleep
 *     msgrcv, mq_timedreceive, rt_sigtimedwait         chan receive
 *     msgsnd, mq_timedsend                             chan send
 *     semop, sem_wait, any other futex                 semacquire
 *     pthread_join, pthread_barrier_wait               sync.WaitGroup.Wait
 *     any other                                        syscall NAME
 *
 * Context   our thread; pure, but for thread_state_holder, which reads a lock.
 * Tests     test/unit/thread_states_test.c */
#ifndef HTTPD_THREAD_STATES_H
#define HTTPD_THREAD_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/looks.h"

/* Functions that are looked at: our door, libc's own from the leaf on, and who called it. */
#define THREAD_STATE_NAMES 8

enum thread_lock {
	THREAD_LOCK_NONE,
	THREAD_LOCK_MUTEX,      /* pthread_mutex_t or mtx_t: knows its owner */
	THREAD_LOCK_PI,         /* a word with its owner's tid */
	THREAD_LOCK_RWLOCK,     /* pthread_rwlock_t: knows who writes */
	THREAD_LOCK_OTHER,      /* of those who wait here none can be asked for its owner */
};

struct thread_state {
	const char      *word;
	char             call[24];      /* what word is, if it is "syscall NAME" */
	enum thread_lock kind;
	uintptr_t        lock;          /* the object waited for; 0 unknown */
	int32_t          ends;          /* the thread whose end is awaited; 0 none */
};

/* name: of these functions, NULL where one is not known.  out->word may be
 * out->call. */
void thread_state_of(const struct look *look, const char *const *name, size_t names,
		     struct thread_state *out);

/* The thread that holds the lock now; 0: nobody, or not to be known. */
int32_t thread_state_holder(const struct thread_state *s);

#endif
