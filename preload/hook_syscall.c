/* The doors of prctl and of libc's syscall(): for the few calls of theirs that concern our
 * thread, and for futexes. */
#include "preload/hook_syscall.h"

#include <errno.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "httpd/desk.h"
#include "preload/export.h"
#include "preload/hook_futex.h"
#include "preload/real.h"
#include "preload/sandbox.h"
#include "sampler/clock.h"
#include "sampler/thread_names.h"

int unshare(int flags);
int setns(int fd, int kind);

#define SYS_LANDLOCK_RESTRICT_SELF 446  /* since Linux 5.13, the same everywhere */

/* --- prctl ----------------------------------------------------------------------------------- */

EXPORT int prctl(int what, long a, long b, long c, long d);
EXPORT int prctl(int what, long a, long b, long c, long d)
{
	bool inside;
	int result;

	if (what == PR_SET_TSC && a == PR_TSC_SIGSEGV)
		clock_forbid_counter();
	if (what == PR_SET_NAME) {
		result = real.prctl(what, a, b, c, d);
		thread_names_changed();
		return result;
	}
	/* Without a filter it is only a question whether there are filters. */
	if (what != PR_SET_SECCOMP || (a == SECCOMP_MODE_FILTER && b == 0))
		return real.prctl(what, a, b, c, d);
	inside = sandbox_enter();
	result = real.prctl(what, a, b, c, d);
	if (inside && result < 0) {
		int host_errno = errno;

		sandbox_leave();
		errno = host_errno;
	}
	return result;
}

/* --- syscall --------------------------------------------------------------------------------- */

/* Libraries ask with arguments that cannot be meant whether the call is there. */
static bool installs_filter(long operation, long flags, long args)
{
	if (operation == SECCOMP_SET_MODE_STRICT)
		return flags == 0 && args == 0;
	return operation == SECCOMP_SET_MODE_FILTER && args != 0;
}

/* More than 0 is a descriptor, or a thread that could not take the filter over. */
static bool was_refused(long result, long flags)
{
	return result < 0 || (result > 0 && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0);
}

static long install_filter(long operation, long flags, long args)
{
	bool inside = sandbox_enter();
	long result = real.syscall(SYS_seccomp, operation, flags, args, 0, 0, 0);
	int host_errno = errno;

	if (inside && was_refused(result, flags))
		sandbox_leave();
	errno = host_errno;
	return result;
}

/* The same as by its own door. */
long hook_syscall_by_door(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;
	int host_errno;

	if (nr == SYS_futex)
		return hook_futex(a, b, c, d, e, f);
	if (nr == SYS_FUTEX_WAITV || nr == SYS_FUTEX_WAIT)
		return hook_futex_later(nr, a, b, c, d, e, f);
	if (nr == SYS_unshare)
		return unshare((int)a);
	if (nr == SYS_setns)
		return setns((int)a, (int)b);
	if (nr == SYS_prctl)
		return prctl((int)a, b, c, d, e);
	if (nr == SYS_exit_group)
		desk_end();
	if (nr == SYS_seccomp && installs_filter(a, b, c))
		return install_filter(a, b, c);
	result = real.syscall(nr, a, b, c, d, e, f);
	host_errno = errno;
	if (nr == SYS_LANDLOCK_RESTRICT_SELF && result == 0) {
		/* Ours would see more of the file system: another is born inside. */
		desk_hold_off();
		desk_let_back();
	} else if (nr != SYS_seccomp && result == 0) {
		desk_follow();
	}
	errno = host_errno;
	return result;
}

#define DOOR   HOOK_SYSCALL_DOOR
#define SHARES HOOK_SYSCALL_SHARES

const uint8_t hook_syscall_has_door[HOOK_SYSCALL_NUMBERS] = {
	[SYS_unshare] = DOOR,   [SYS_setns] = DOOR,     [SYS_prctl] = DOOR,
	[SYS_exit_group] = DOOR,
	[SYS_seccomp] = DOOR,   [SYS_capset] = DOOR,    [SYS_setuid] = DOOR,
	[SYS_setgid] = DOOR,    [SYS_setreuid] = DOOR,  [SYS_setregid] = DOOR,
	[SYS_setresuid] = DOOR, [SYS_setresgid] = DOOR, [SYS_setgroups] = DOOR,
	[SYS_LANDLOCK_RESTRICT_SELF] = DOOR,            [SYS_futex] = DOOR,
	[SYS_FUTEX_WAITV] = DOOR,                               [SYS_FUTEX_WAIT] = DOOR,
	[SYS_vfork] = SHARES,   [SYS_clone] = SHARES,   [SYS_clone3] = SHARES,
};
