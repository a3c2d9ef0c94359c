/* masks_by_old_calls -- SIGPROF blocked, let in, handled and ignored by the calls of System V, BSD and
 * X/Open: each result and what can be read back afterwards, and what waits after some work. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static volatile sig_atomic_t handled;

static void on_prof(int signo) { handled += signo == SIGPROF; }

static const char *name(void (*handler)(int))
{
	return handler == SIG_DFL    ? "default"
	       : handler == SIG_IGN  ? "ignored"
	       : handler == SIG_ERR  ? "error"
	       : handler == SIG_HOLD ? "held"
	       : handler == on_prof  ? "mine"
				     : "somebody's";
}

/* What a library under us would have left waiting, and what can be read back. */
static void look(const char *after)
{
	volatile uint64_t x = 1;
	sigset_t mask, pending;
	struct sigaction act;

	for (int i = 0; i < 15000000; i++)
		x = x * 3 + 1;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigpending(&pending);
	sigaction(SIGPROF, NULL, &act);
	printf("%s: blocked %d, pending %d, %s, flags %x, masks itself %d, handled %d\n", after,
	       sigismember(&mask, SIGPROF), sigismember(&pending, SIGPROF), name(act.sa_handler),
	       (unsigned)act.sa_flags, sigismember(&act.sa_mask, SIGPROF), (int)handled);
}

static void *born_blocked(void *unused)
{
	look("a thread with a mask of its own");
	return unused;
}

static void bits(void)
{
	int prof = 1 << (SIGPROF - 1), before;

	before = sigblock(prof);
	printf("sigblock gives %x\n", (unsigned)before);
	look("sigblock");
	before = sigsetmask(1 << (SIGHUP - 1));
	printf("sigsetmask gives %x\n", (unsigned)before);
	look("sigsetmask to another");
	sigsetmask(prof);
	look("sigsetmask");
	raise(SIGPROF);
	sigsetmask(0);
	look("all open");
	printf("siggetmask %x\n", (unsigned)siggetmask());
}

int main(void)
{
	pthread_attr_t attr;
	pthread_t t;
	sigset_t prof;

	printf("sighold %d\n", sighold(SIGPROF));
	look("sighold");
	printf("sigrelse %d\n", sigrelse(SIGPROF));
	look("sigrelse");
	errno = 0;
	printf("sighold(99) %d %s\n", sighold(99), strerror(errno));
	printf("sigset: was %s\n", name(sigset(SIGPROF, on_prof)));
	look("sigset");
	raise(SIGPROF);
	look("raise");
	printf("sigset to hold: was %s\n", name(sigset(SIGPROF, SIG_HOLD)));
	look("sigset to hold");
	raise(SIGPROF);
	printf("again: was %s\n", name(sigset(SIGPROF, SIG_HOLD)));
	printf("sigset from hold: was %s\n", name(sigset(SIGPROF, on_prof)));
	look("sigset from hold");
	bits();
	printf("siginterrupt %d\n", siginterrupt(SIGPROF, 1));
	look("siginterrupt");
	printf("signal: was %s\n", name(signal(SIGPROF, on_prof)));
	look("signal");
	siginterrupt(SIGPROF, 0);
	look("siginterrupt off");
	signal(SIGPROF, on_prof);
	look("signal after it");
	printf("sigignore %d\n", sigignore(SIGPROF));
	raise(SIGPROF);
	look("sigignore");
	printf("sigset: was %s\n", name(sigset(SIGPROF, SIG_DFL)));
	look("sigset to default");
	sigset(SIGPROF, on_prof);
	sighold(SIGPROF);
	raise(SIGPROF);
	printf("sigpause %d %s\n", sigpause(SIGPROF), strerror(errno));
	look("sigpause");
	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	sigrelse(SIGPROF);
	pthread_attr_init(&attr);
	pthread_attr_setsigmask_np(&attr, &prof);
	pthread_create(&t, &attr, born_blocked, NULL);
	pthread_join(t, NULL);
	look("in the end");
	return 0;
}
