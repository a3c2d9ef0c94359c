/* httpd/thread_calls.h -- system calls in which threads wait, and what that is in Go's words.
 *
 * Context   any; pure. */
#ifndef HTTPD_THREAD_CALLS_H
#define HTTPD_THREAD_CALLS_H

#include <stdint.h>

#define THREAD_CALLS_ACQUIRE "semacquire"

struct thread_call {
	int         nr;
	const char *name, *word;        /* word NULL: "syscall NAME" */
};

/* NULL: one that is not known here. */
const struct thread_call *thread_calls_find(int64_t nr);
/* The same by its name, which is mostly also libc's function. */
const struct thread_call *thread_calls_named(const char *name);

#endif
