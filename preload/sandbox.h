/* preload/sandbox.h -- a host that forbids itself system calls (seccomp(2)).
 *
 * A filter does not know ours: one that it does not allow may end the process.  And a thread
 * outside of the filter would be a way around it.  So from then on there is no thread of ours, no
 * timer and no sample.
 *
 * Context   the doors of prctl and syscall; sandbox_entered: a fork child, too. */
#ifndef PRELOAD_SANDBOX_H
#define PRELOAD_SANDBOX_H

#include <stdbool.h>

#include "sampler/compiler.h"

/* Before the call that installs a filter: when it returns, everything of ours has stopped, whoever
 * began it.  False: it is not for us to do, this is a vfork child and the memory its parent's. */
MUST_CHECK bool sandbox_enter(void);
/* After a call that failed, if sandbox_enter was true: everything goes on. */
void sandbox_leave(void);

/* True from sandbox_enter on, also in fork children. */
bool sandbox_entered(void);

#endif
