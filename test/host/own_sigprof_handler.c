/* own_sigprof_handler -- a program with its own use of SIGPROF: a handler with SA_SIGINFO and a mask, and
 * signals from raise, kill, sigqueue, tgkill and its own interval timer.  It must see exactly its own
 * signals, with its flags and its mask, and read back what it set. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t users, queued, timers, others, masked, value;

static void on_sigprof(int signo, siginfo_t *info, void *context)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	masked += signo == SIGPROF && context != NULL && sigismember(&now, SIGUSR1) == 1 &&
		  sigismember(&now, SIGPROF) == 1;
	switch (info->si_code) {
	case SI_USER:
	case SI_TKILL: users++; break;
	case SI_QUEUE:
		queued++;
		value = info->si_value.sival_int;
		break;
	case SI_KERNEL: timers++; break;
	default: others++;
	}
}

static volatile sig_atomic_t simple;

static void on_simple(int signo) { simple += signo == SIGPROF; }

static void spin(int n)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < n; i++)
		x = x * 3 + 1;
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigprof, .sa_flags = SA_SIGINFO | SA_RESTART }, old;
	union sigval seven = { .sival_int = 7 };
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } }, never = { { 0, 0 }, { 0, 0 } };

	if (sigaction(SIGPROF, NULL, &old) == 0)
		printf("at first: default %d\n", old.sa_handler == SIG_DFL);
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGUSR1);
	if (sigaction(SIGPROF, &sa, &old) == 0)
		printf("before: default %d flags %x\n", old.sa_handler == SIG_DFL, old.sa_flags);
	spin(100000000); /* ticks of a profiler come in here */
	printf("none of mine yet: %d\n", users + queued + timers + others);
	raise(SIGPROF);
	kill(getpid(), SIGPROF);
	syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGPROF);
	sigqueue(getpid(), SIGPROF, seven);
	spin(100000000);
	printf("users %d queued %d value %d others %d masked %d\n", users, queued, value, others,
	       masked);
	if (sigaction(SIGPROF, NULL, &old) == 0)
		printf("read back: mine %d flags %x mask %d\n", old.sa_sigaction == on_sigprof,
		       old.sa_flags & ~0x04000000, sigismember(&old.sa_mask, SIGUSR1));
	setitimer(ITIMER_PROF, &every, NULL);
	while (timers < 10)
		spin(100000);
	setitimer(ITIMER_PROF, &never, NULL);
	printf("timer: ten came, others %d\n", others);

	printf("signal() gives back mine: %d\n",
	       signal(SIGPROF, on_simple) == (void (*)(int))(uintptr_t)on_sigprof);
	raise(SIGPROF);
	spin(50000000);
	raise(SIGPROF);
	printf("simple %d\n", simple);
	printf("signal() gives back it: %d\n", signal(SIGPROF, SIG_IGN) == on_simple);
	raise(SIGPROF);
	spin(50000000);
	printf("ignored: %d\n", simple);
	printf("and back: %d\n", signal(SIGPROF, SIG_DFL) == SIG_IGN);

	/* One shot: SA_RESETHAND. */
	sa.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
	sigaction(SIGPROF, &sa, NULL);
	spin(50000000);
	users = 0;
	raise(SIGPROF);
	sigaction(SIGPROF, NULL, &old);
	printf("once: %d, now default %d\n", users, old.sa_handler == SIG_DFL);
	return 0;
}
