/* main_leaves_handlers -- main ends by pthread_exit; at the end of the input the last thread returns, and libc runs
 * the exit handler and writes the buffers out.  The handler says which signals are blocked. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void at_exit(void)
{
	sigset_t mask;
	int n = 0;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	for (int i = 1; i < 65; i++)
		n += sigismember(&mask, i) == 1;
	printf("%d blocked, USR1 %d\n", n, sigismember(&mask, SIGUSR1));
}

static void *last_one(void *unused)
{
	char c;

	printf("in a buffer\n");
	while (read(STDIN_FILENO, &c, 1) == 1)
		;
	return unused;
}

int main(void)
{
	pthread_t t;

	atexit(at_exit);
	pthread_create(&t, NULL, last_one, NULL);
	pthread_detach(t);
	pthread_exit(NULL);
}
