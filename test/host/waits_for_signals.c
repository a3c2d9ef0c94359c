/* waits_for_signals -- a program that takes its signals synchronously: all of them blocked, sigwait,
 * sigtimedwait, sigpending and signalfd must give its own and never another; one of its own that comes
 * while they are blocked is kept; and interrupted calls: none is. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static atomic_int done, interrupted;
static volatile sig_atomic_t handled;

static void on_sigprof(int signo) { handled += signo == SIGPROF; }

static void burn(int n)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < n; i++)
		x = x * 3 + 1;
}

static void *naps(void *unused)
{
	struct timespec ms = { 0, 1000000 };

	while (!done) {
		burn(200000);
		if (nanosleep(&ms, NULL) != 0 && errno == EINTR)
			interrupted++;
		if (poll(NULL, 0, 1) < 0 && errno == EINTR)
			interrupted++;
	}
	return unused;
}

int main(void)
{
	sigset_t all, before, pending;
	struct timespec second = { 0, 300000000 };
	struct signalfd_siginfo info = { 0 };
	struct pollfd ready = { .events = POLLIN };
	pthread_t t;
	int signo = 0;

	/* The alarm is main's, also if it comes before main waits for it. */
	sigemptyset(&all);
	sigaddset(&all, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_create(&t, NULL, naps, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	burn(200000000);
	alarm(1);
	sigwait(&all, &signo);
	printf("sigwait: alarm %d\n", signo == SIGALRM);
	burn(100000000);
	errno = 0;
	signo = sigtimedwait(&all, NULL, &second);
	printf("sigtimedwait: nothing %d, EAGAIN %d\n", signo, errno == EAGAIN);
	ready.fd = signalfd(-1, &all, 0);
	burn(100000000);
	printf("signalfd: %d\n", poll(&ready, 1, 200));
	/* To this thread: the other one does not block it. */
	pthread_kill(pthread_self(), SIGPROF);
	if (read(ready.fd, &info, sizeof(info)) == sizeof(info))
		printf("signalfd: my SIGPROF %d\n", info.ssi_signo == SIGPROF);
	signal(SIGPROF, on_sigprof);
	burn(100000000);
	sigpending(&pending);
	printf("pending before: %d", sigismember(&pending, SIGPROF));
	raise(SIGPROF);
	sigpending(&pending);
	printf(" after: %d, handled %d", sigismember(&pending, SIGPROF), handled);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	printf(", then %d\n", handled);
	done = 1;
	pthread_join(t, NULL);
	printf("interrupted: %d\n", interrupted);
	return 0;
}
