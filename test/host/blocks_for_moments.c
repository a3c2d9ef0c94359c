/* blocks_for_moments MICROSECONDS -- one thread uses so much CPU time, blocks all signals for a
 * moment and lets them in again, and so on.  A line of input ends it. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((noinline)) void burn(double until)
{
	while (cpu() < until)
		for (volatile int i = 0; i < 1000; i++)
			;
}

int main(int argc, char **argv)
{
	double moment = argc > 1 ? atof(argv[1]) * 1e-6 : 1e-3;
	struct pollfd input = { 0, POLLIN, 0 };
	sigset_t all, before;
	char line[16];

	sigfillset(&all);
	for (;;) {
		burn(cpu() + moment);
		sigprocmask(SIG_BLOCK, &all, &before);
		sigprocmask(SIG_SETMASK, &before, NULL);
		if (poll(&input, 1, 0) == 0)
			continue;
		return read(0, line, sizeof(line)) < 0;
	}
}
