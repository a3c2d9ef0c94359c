#include "httpd/birth.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/sys.h"

int birth_thread(int (*run)(void *arg), void *arg, char *stack, size_t stack_bytes, void *tls,
		 _Atomic int *tid)
{
	/* What a pthread has, too: valgrind ends a program that asks for other combinations, so the
	 * descriptors are parted from afterwards, in birth_renounce. */
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	int host_errno = errno, result;

	result = clone(run, stack + stack_bytes, flags, arg, tid, tls, tid);
	if (result < 0)
		result = -errno;
	errno = host_errno;
	return result;
}

void birth_renounce(bool is_pthread)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };
	struct sched_param normal = { 0 };

	sys_call2(SYS_prctl, PR_SET_NAME, "pprofshim");
	sys_call3(SYS_sched_setscheduler, 0, SCHED_OTHER, &normal);
	if (is_pthread)
		return;
	os_own_files();
	sys_call4(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0);
	sys_call2(SYS_capset, &head, none);
	sys_call4(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
}
