/* vfork_masks [blocks|changes] -- between vfork and exec or _exit a child changes mask, handlers and
 * alternate stack, as subprocess libraries do: nothing of it may stay in the parent.  With an argument
 * only one of the two ways, and then it spins until its standard input ends. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t handled, in_child;
static char small[16384];

static void on_prof(int signo) { handled += signo == SIGPROF; }

static __attribute__((noinline)) void spin_after(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 10000000; i++)
		x = x * 3 + 1;
}

/* As CPython's _posixsubprocess: everything blocked around vfork, the child lets in and execs. */
static void blocks_around(void)
{
	sigset_t all, before;
	int status = 0;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = vfork();
	if (pid == 0) {
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	waitpid(pid, &status, 0);
	printf("child %d\n", status);
}

static void changes_all(void)
{
	stack_t ss = { .ss_sp = small, .ss_size = 4096 }, now;
	struct sigaction act;
	sigset_t prof, mask;
	int status = 0;
	pid_t pid;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	pid = vfork();
	if (pid == 0) {
		sigaction(SIGPROF, NULL, &act);
		in_child = act.sa_handler == on_prof;
		signal(SIGPROF, SIG_IGN);
		in_child += signal(SIGPROF, SIG_DFL) == SIG_IGN;
		sigprocmask(SIG_BLOCK, &prof, NULL);
		sigaltstack(&ss, NULL);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	raise(SIGPROF);
	sigaction(SIGPROF, NULL, &act);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigaltstack(NULL, &now);
	printf("child %d saw %d; handled %d, mine %d, blocked %d, stack %d\n", status, (int)in_child,
	       (int)handled, act.sa_handler == on_prof, sigismember(&mask, SIGPROF),
	       (now.ss_flags & SS_DISABLE) == 0);
}

int main(int argc, char **argv)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	signal(SIGPROF, on_prof);
	if (argc < 2 || strcmp(argv[1], "blocks") == 0)
		blocks_around();
	if (argc < 2 || strcmp(argv[1], "changes") == 0)
		changes_all();
	spin_after();
	printf("handled %d\n", (int)handled);
	if (argc > 1) {
		puts("ready");
		fflush(stdout);
		while (poll(&input, 1, 0) == 0)
			spin_after();
	}
	return 0;
}
