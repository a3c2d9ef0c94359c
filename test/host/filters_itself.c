/* filters_itself [ROAD] -- a program that allows itself only the few system calls that it needs; any
 * other ends it.  Then it works on: computes, allocates and frees.  Some roads forbid only what the
 * program does not do itself in the calls that come after. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW(nr)                                               \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),          \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter rules[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_brk), ALLOW(SYS_mmap), ALLOW(SYS_munmap),
	ALLOW(SYS_mremap), ALLOW(SYS_rt_sigreturn), ALLOW(SYS_exit), ALLOW(SYS_exit_group),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
static struct sock_fprog filter = { sizeof(rules) / sizeof(*rules), rules };

static void work(void)
{
	static void *kept[500];
	volatile unsigned x = 0;

	for (unsigned i = 0; i < 400000; i++) {
		for (unsigned j = 0; j < 200; j++)
			x += j;
		free(kept[i % 500]);
		kept[i % 500] = malloc(100 + i % 5000);
	}
}

static void no_new_privileges(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Questions first, as libraries ask them. */
static long by_prctl(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0);
	printf("prctl question: %d\n", errno);
	no_new_privileges();
	work();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

static long by_syscall(void)
{
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL);
	printf("seccomp question: %d\n", errno);
	no_new_privileges();
	work();
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
}

static long strict(void)
{
	work();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
}

static long refused(void)
{
	struct sock_fprog bad = { 0, rules };

	no_new_privileges();
	errno = 0;
	printf("bad filter: %ld", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &bad));
	printf(" %d\n", errno);
	return 0;
}

/* --- forbidding what others might do ----------------------------------------------------------- */

#define DENY(nr)                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),          \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static struct sock_filter not_these[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	DENY(SYS_getpid), DENY(SYS_gettid), DENY(SYS_tgkill), DENY(SYS_getsockopt),
	DENY(SYS_getsockname), DENY(SYS_nanosleep), DENY(SYS_timer_settime), DENY(SYS_prlimit64),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog forbids = { sizeof(not_these) / sizeof(*not_these), not_these };

static long doors(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
	sigset_t prof;

	if (bind(s, (struct sockaddr *)&a, len) != 0 ||
	    getsockname(s, (struct sockaddr *)&a, &len) != 0)
		return -1;
	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	work();
	no_new_privileges();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &forbids, 0, 0) != 0)
		return -1;
	printf("bind: %d\n", bind(t, (struct sockaddr *)&a, len));
	printf("unshare: %d\n", unshare(CLONE_THREAD));
	printf("setns: %d\n", setns(-1, 0));
	printf("setgid: %d\n", setgid(getgid()));
	printf("mask: %d\n", sigprocmask(SIG_BLOCK, &prof, NULL));
	return 0;
}

static pthread_barrier_t at_once;

static void *enter_with_others(void *unused)
{
	sigset_t prof;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	pthread_barrier_wait(&at_once);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &forbids, 0, 0);
	pthread_sigmask(SIG_BLOCK, &prof, NULL);
	return unused;
}

static long threads(void)
{
	pthread_t t[4];

	work();
	no_new_privileges();
	pthread_barrier_init(&at_once, NULL, 4);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, enter_with_others, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; long (*enter)(void); } roads[] = {
		{ "prctl", by_prctl }, { "syscall", by_syscall }, { "strict", strict },
		{ "refused", refused }, { "doors", doors }, { "threads", threads },
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < sizeof(roads) / sizeof(*roads); i++) {
		int status;

		if (argc > 1 && strcmp(argv[1], roads[i].name) != 0)
			continue;
		if (argc > 1 || fork() == 0) {
			printf("%s: entered with %ld\n", roads[i].name, roads[i].enter());
			work();
			printf("%s: still there\n", roads[i].name);
			if (argc > 2) {
				puts("ready");
				getchar();
			}
			/* Not exit_group: strict mode knows only exit. */
			syscall(SYS_exit, 7);
		}
		wait(&status);
		printf("%s: ended with %d\n", roads[i].name, status);
	}
	return 0;
}
