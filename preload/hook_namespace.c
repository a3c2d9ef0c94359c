/* The doors of the calls that the kernel grants only to a process with one thread (unshare(2),
 * setns(2)): ours ends before and comes back after. */
#include <sched.h>

#include "httpd/desk.h"
#include "preload/export.h"
#include "preload/real.h"

/* What asks for a thread group of one; a new user namespace does, too. */
#define ALONE (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER)

EXPORT int unshare(int flags)
{
	int result;

	if ((flags & ALONE) == 0)
		return real.unshare(flags);
	desk_hold_off();
	result = real.unshare(flags);
	desk_let_back();
	return result;
}

/* Kind 0 is any that the descriptor is.  A mount namespace wants a file system view that nobody
 * shares; a network namespace, which servers change all day, wants nothing. */
EXPORT int setns(int fd, int kind)
{
	int result;

	if (kind != 0 && (kind & (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWTIME)) == 0)
		return real.setns(fd, kind);
	desk_hold_off();
	result = real.setns(fd, kind);
	desk_let_back();
	return result;
}
