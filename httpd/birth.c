#include "httpd/birth.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/sys.h"

#define OLD_FILES_MAX 65536

int birth_thread(int (*run)(void *arg), void *arg, char *stack, size_t stack_bytes, void *tls)
{
	/* What a pthread has, too: valgrind ends a program that asks for other combinations, so the
	 * descriptors are parted from afterwards, in birth_renounce. */
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_SETTLS;
	uint64_t all = ~UINT64_C(0), before;
	int host_errno = errno, err = 0;

	/* By the raw call: libc's would leave its own signals open, which are for threads that it
	 * knows.  The mask is inherited. */
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	if (clone(run, stack + stack_bytes, flags, arg, NULL, tls, NULL) < 0)
		err = -errno;
	sys_call4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	errno = host_errno;
	return err;
}

/* A table of our own, and nothing in it: what we open takes no number from the host, what the host
 * closes is closed, and a fork child inherits none of ours. */
static void leave_files(void)
{
	if (sys_call3(SYS_close_range, 0, ~0u, CLOSE_RANGE_UNSHARE) == 0) {
		os_has_own_table();
		return;
	}
	/* Linux before 5.9.  Without a table of our own, nothing may be closed. */
	if (sys_call1(SYS_unshare, CLONE_FILES) < 0)
		return;
	os_has_own_table();
	for (int fd = 0; fd < OLD_FILES_MAX; fd++)
		sys_call1(SYS_close, fd);
}

void birth_renounce(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };
	struct sched_param normal = { 0 };

	leave_files();
	sys_call2(SYS_prctl, PR_SET_NAME, "pprofshim");
	sys_call4(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0);
	sys_call2(SYS_capset, &head, none);
	sys_call4(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
	sys_call3(SYS_sched_setscheduler, 0, SCHED_OTHER, &normal);
}
