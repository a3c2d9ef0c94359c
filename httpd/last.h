/* httpd/last.h -- has the host ended, and only our thread keeps its process alive?
 *
 * libc ends a process when the last thread that it knows returns.  A thread of ours made by
 * pthread_create counts there: it has to look itself, and return.  Then libc does what it would
 * have done: exit(0), with the host's exit handlers and buffers.  One made by clone libc does not
 * know, but where a host's last thread leaves by exit(2) itself, the kernel waits for ours, whose
 * status becomes that of the process.
 *
 * Context   our thread.  Two system calls, five when there is nobody but us. */
#ifndef HTTPD_LAST_H
#define HTTPD_LAST_H

#include <stdbool.h>

/* True if the calling thread is the only one left of its process: main has ended by pthread_exit,
 * and so have all others.  What cannot be read is not true.  *status is then what main ended
 * with. */
bool last_is_alone(int *status);

#endif
