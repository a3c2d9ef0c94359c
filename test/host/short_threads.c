/* short_threads -- threads that live for a moment: one after the other, each uses so many
 * microseconds of CPU time and ends, by returning, by pthread_exit or cancelled, in turn.  A line
 * of input: it says how much they have used in all, by their own clocks.
 * Usage: short_threads MICROSECONDS */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double life, used;

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((noinline)) void burn(int n)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < n; i++)
		x = x * 3 + 1;
}

__attribute__((noinline)) void *short_life(void *arg)
{
	while (cpu() < life)
		burn(1000);
	used += cpu();
	if ((intptr_t)arg % 3 == 1)
		pthread_exit(NULL);
	if ((intptr_t)arg % 3 == 2) {
		pthread_cancel(pthread_self());
		pthread_testcancel();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct pollfd input = { 0, POLLIN, 0 };
	char line[16];

	life = argc > 1 ? atof(argv[1]) * 1e-6 : 1e-3;
	for (intptr_t lives = 0;; lives++) {
		pthread_t t;

		pthread_create(&t, NULL, short_life, (void *)lives);
		pthread_join(t, NULL);
		if (poll(&input, 1, 0) == 0)
			continue;
		if (read(0, line, sizeof(line)) <= 0)
			break;
		printf("used %.6f\n", used);
		fflush(stdout);
	}
	return 0;
}
