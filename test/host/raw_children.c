/* raw_children [spin] -- children made past libc: by _Fork, which runs no handlers, and by a vfork
 * of its own, which shares all memory.  What such a child does with its signals, timers and filters
 * stays its own.  With an argument it then spins until its standard input ends. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t handled, in_child;

static void on_prof(int signo) { handled += signo == SIGPROF; }

static __attribute__((noinline)) void spin_after(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 10000000; i++)
		x = x * 3 + 1;
}

/* A child's timers have the numbers that its parent's had. */
static int own_timers_go(void)
{
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct itimerspec hour = { .it_value.tv_sec = 3600 }, left;
	timer_t timer[4];
	sigset_t prof;
	int going = 0;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	for (int i = 0; i < 4; i++)
		if (timer_create(CLOCK_MONOTONIC, &none, &timer[i]) < 0 ||
		    timer_settime(timer[i], 0, &hour, NULL) < 0)
			return -1;
	sigprocmask(SIG_BLOCK, &prof, NULL);
	sigprocmask(SIG_UNBLOCK, &prof, NULL);
	for (int i = 0; i < 4; i++)
		going += timer_gettime(timer[i], &left) == 0 && left.it_value.tv_sec > 0;
	return going;
}

static void by_fork(void)
{
	int result = 0;
	pid_t pid = _Fork();

	if (pid == 0)
		_exit(own_timers_go());
	waitpid(pid, &result, 0);
	printf("forked: %d timers go\n", WEXITSTATUS(result));
}

static void install_filter(void)
{
	struct sock_filter all = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog filter = { 1, &all };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

static __attribute__((noinline)) void change_all(void)
{
	struct sigaction act;
	sigset_t prof;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	sigaction(SIGPROF, NULL, &act);
	in_child = act.sa_handler == on_prof;
	signal(SIGPROF, SIG_IGN);
	sigprocmask(SIG_BLOCK, &prof, NULL);
	munmap(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 20);
	install_filter();
}

/* libc's vfork is a door. */
static __attribute__((noinline)) pid_t raw_vfork(void (*child)(void))
{
	long pid;

	/* Its frames are in its parent's stack, below what that may use without saying so. */
	__asm__ volatile("mov	%%rsp, %%rbx\n\t"
			 "sub	$256, %%rsp\n\t"
			 "and	$-16, %%rsp\n\t"
			 "mov	%[vfork], %%eax\n\t"
			 "syscall\n\t"
			 "test	%%rax, %%rax\n\t"
			 "jnz	1f\n\t"
			 "call	*%[child]\n\t"
			 "xor	%%edi, %%edi\n\t"
			 "mov	%[exit], %%eax\n\t"
			 "syscall\n"
			 "1:\n\t"
			 "mov	%%rbx, %%rsp"
			 : "=&a"(pid)
			 : [child] "r"(child), [vfork] "i"(SYS_vfork), [exit] "i"(SYS_exit_group)
			 : "memory", "cc", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			   "r11");
	return (pid_t)pid;
}

static void by_vfork(void)
{
	struct sigaction act;
	sigset_t mask;
	int result = 0;
	pid_t pid = raw_vfork(change_all);

	waitpid(pid, &result, 0);
	raise(SIGPROF);
	sigaction(SIGPROF, NULL, &act);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("child %d saw %d; handled %d, mine %d, blocked %d\n", result, (int)in_child,
	       (int)handled, act.sa_handler == on_prof, sigismember(&mask, SIGPROF));
}

int main(int argc, char **argv)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	(void)argv;
	signal(SIGPROF, on_prof);
	by_fork();
	by_vfork();
	if (argc > 1) {
		puts("ready");
		fflush(stdout);
		while (poll(&input, 1, 0) == 0)
			spin_after();
	}
	return 0;
}
