/* The doors of the calls that the kernel grants only to a process with one thread (unshare(2),
 * setns(2)), or that change the calling thread alone: ours ends before and comes back after. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>

#include "httpd/desk.h"
#include "preload/export.h"
#include "preload/real.h"
#include "sampler/os.h"
#include "sampler/threads.h"

/* What asks for a thread group of one; a new user namespace does, too. */
#define ALONE (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER)
/* What a thread changes for itself alone: ours would go on outside, where the host may not be any
 * more.  Other threads than the first do that for a while, or for some work of their own. */
#define LEFT_BEHIND (CLONE_FS | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)

static void come_back(void)
{
	int host_errno = errno;

	desk_let_back();
	errno = host_errno;
}

EXPORT int unshare(int flags)
{
	int result;

	if ((flags & ALONE) == 0 &&
	    ((flags & LEFT_BEHIND) == 0 || threads_sealed() || os_gettid() != os_getpid()))
		return real.unshare(flags);
	desk_hold_off();
	result = real.unshare(flags);
	come_back();
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
	come_back();
	return result;
}
