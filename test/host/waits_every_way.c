/* waits_every_way -- waits for a signal of its own in each way that there is, having used the CPU
 * before, and waits in vain in each: no call may end early, give another signal or show one pending.
 * SIGPROF is blocked, or let in for the wait alone, or let in always.  Another thread, which takes no
 * alarm, sleeps through it all. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t alarms, profs;
static sigset_t all, none, but_alarm;
static struct timespec moment = { 0, 20000000 };
static int epoll, signals;
static atomic_int done, interrupted;

static void on_alarm(int signo) { alarms += signo == SIGALRM; }
static void on_prof(int signo) { profs += signo == SIGPROF; }

static void burn(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 8000000; i++)
		x = x * 3 + 1;
}

/* --- ways to wait: of 20 ms, or for the alarm in 20 ms; 0 if all went as it should ------------- */

static int alarmed(int result, int before)
{
	return !(result == -1 && errno == EINTR && alarms == before + 1);
}

static void set_alarm(void)
{
	struct itimerval once = { { 0, 0 }, { 0, 20000 } };

	setitimer(ITIMER_REAL, &once, NULL);
}

static int by_sigsuspend(const sigset_t *mask)
{
	int before = alarms;

	set_alarm();
	return alarmed(sigsuspend(mask), before);
}

static int by_ppoll(const sigset_t *mask) { return ppoll(NULL, 0, &moment, mask) != 0; }

static int by_pselect(const sigset_t *mask)
{
	return pselect(0, NULL, NULL, NULL, &moment, mask) != 0;
}

static int by_epoll_pwait(const sigset_t *mask)
{
	struct epoll_event event;

	return epoll_pwait(epoll, &event, 1, 20, mask) != 0;
}

static int by_epoll_pwait2(const sigset_t *mask)
{
	struct epoll_event event;

	return epoll_pwait2(epoll, &event, 1, &moment, mask) != 0;
}

static int by_sigtimedwait(const sigset_t *unused)
{
	(void)unused;
	return !(sigtimedwait(&all, NULL, &moment) == -1 && errno == EAGAIN);
}

static int by_sigwaitinfo(const sigset_t *unused)
{
	siginfo_t info;

	(void)unused;
	set_alarm();
	return sigwaitinfo(&all, &info) != SIGALRM;
}

static int by_sigwait(const sigset_t *unused)
{
	int signo;

	(void)unused;
	set_alarm();
	return sigwait(&all, &signo) != 0 || signo != SIGALRM;
}

static int by_signalfd(const sigset_t *unused)
{
	struct signalfd_siginfo info;
	struct pollfd ready = { signals, POLLIN, 0 };

	(void)unused;
	if (poll(&ready, 1, 10) != 0)
		return 1;
	set_alarm();
	return poll(&ready, 1, 1000) != 1 || read(signals, &info, sizeof(info)) != sizeof(info) ||
	       info.ssi_signo != SIGALRM;
}

static int by_sigpending(const sigset_t *unused)
{
	sigset_t pending;

	(void)unused;
	return sigpending(&pending) != 0 || !sigisemptyset(&pending);
}

/* --- */

static void try(const char *name, int (*way)(const sigset_t *), const sigset_t *mask)
{
	int wrong = 0;

	for (int i = 0; i < 5; i++) {
		burn();
		wrong += way(mask);
	}
	printf("%s: wrong %d, alarms %d, profs %d\n", name, wrong, (int)alarms, (int)profs);
	alarms = 0;
}

static void try_with_masks(const char *name, const sigset_t *mask)
{
	puts(name);
	try("sigsuspend", by_sigsuspend, mask);
	try("ppoll", by_ppoll, mask);
	try("pselect", by_pselect, mask);
	try("epoll_pwait", by_epoll_pwait, mask);
	try("epoll_pwait2", by_epoll_pwait2, mask);
}

static void *sleeps(void *unused)
{
	while (!done)
		interrupted += poll(NULL, 0, 50) != 0;
	return unused;
}

static pthread_t start_sleeper(void)
{
	sigset_t alarm, before;
	pthread_t t;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, &before);
	pthread_create(&t, NULL, sleeps, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return t;
}

int main(void)
{
	pthread_t sleeper = start_sleeper();

	signal(SIGALRM, on_alarm);
	signal(SIGPROF, on_prof);
	sigfillset(&all);
	sigemptyset(&none);
	sigfillset(&but_alarm);
	sigdelset(&but_alarm, SIGALRM);
	epoll = epoll_create1(0);
	signals = signalfd(-1, &all, 0);
	try_with_masks("open, and open in the wait", &none);
	try_with_masks("open, and blocked in the wait", &but_alarm);
	sigprocmask(SIG_SETMASK, &all, NULL);
	try_with_masks("blocked, and open in the wait", &none);
	try_with_masks("blocked, and blocked in the wait", &but_alarm);
	try("sigtimedwait", by_sigtimedwait, NULL);
	try("sigwaitinfo", by_sigwaitinfo, NULL);
	try("sigwait", by_sigwait, NULL);
	try("signalfd", by_signalfd, NULL);
	try("sigpending", by_sigpending, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	burn();
	done = 1;
	pthread_join(sleeper, NULL);
	printf("in the end: profs %d, interrupted %d\n", (int)profs, interrupted);
	return 0;
}
