/* httpd/birth.h -- how a thread comes to life without libc knowing.
 *
 * Context   birth_prepare_tls, birth_thread: any thread of the host, also inside a signal handler:
 *           one system call.  birth_renounce: the new thread. */
#ifndef HTTPD_BIRTH_H
#define HTTPD_BIRTH_H

#include <stdbool.h>
#include <stddef.h>

#include "sampler/compiler.h"

/* Makes a fresh TLS block (as _dl_allocate_tls returns it) look like a thread's own: its pointers
 * to itself, and the guards that compiled code reads from it.  birth_<arch>.c */
void birth_prepare_tls(void *tls);

/* A thread of this process that runs run(arg) with the signal mask of the caller, who has blocked
 * every signal.  *tid is its id from before it runs until it runs no more, then 0: stack and tls
 * are free again.  Returns that id or -errno; the host's errno is kept. */
MUST_CHECK int birth_thread(int (*run)(void *arg), void *arg, char *stack, size_t stack_bytes,
			    void *tls, _Atomic int *tid);

/* On the new thread: what it does not need is given up.  No descriptor of the host's (it has a
 * table of its own), no capability, no new privileges, no real-time priority, a name of its own.
 *
 * A pthread gives up less.  It keeps its rights: libc repeats set*id on every thread that it knows,
 * and aborts when one of them may not.  It stays among the host's descriptors: the host's exit
 * handlers may run on it (last.h). */
void birth_renounce(bool is_pthread);

#endif
