/* jumps_out_of_handlers -- for two seconds of CPU a handler leaves whatever it interrupts by
 * siglongjmp, which restores no mask.  Says whether SIGPROF is blocked then, and "ready"; spins until
 * its standard input ends. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static sigjmp_buf out;

static void jump(int signo)
{
	(void)signo;
	siglongjmp(out, 1);
}

static __attribute__((noinline)) void spin_after(void)
{
	volatile unsigned long x = 1;

	for (int i = 0; i < 10000000; i++)
		x = x * 3 + 1;
}

int main(void)
{
	struct sigaction act = { .sa_handler = jump, .sa_flags = SA_NODEFER };
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	struct itimerval soon = { .it_value = { 0, 0 } };
	sigset_t mask;

	sigaction(SIGALRM, &act, NULL);
	(void)sigsetjmp(out, 0);
	if (clock() < 2 * CLOCKS_PER_SEC) {
		soon.it_value.tv_usec = 150 + rand() % 200;
		setitimer(ITIMER_REAL, &soon, NULL);
		for (volatile unsigned long x = 1;;)
			x = x * 3 + 1;
	}
	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("SIGPROF blocked: %d\nready\n", sigismember(&mask, SIGPROF));
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		spin_after();
	return 0;
}
