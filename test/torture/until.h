/* test/torture/until.h -- how long a host works: for the seconds that it is told, else until its input
 * ends. */
#ifndef TEST_TORTURE_UNTIL_H
#define TEST_TORTURE_UNTIL_H

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double until_end;        /* 0: the end of the input */

static inline double until_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void until(const char *seconds)
{
	if (seconds != NULL && atoi(seconds) > 0)
		until_end = until_now() + atoi(seconds);
}

/* Any thread. */
static __attribute__((noinline)) int until_over(void)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	return until_end > 0 ? until_now() >= until_end : poll(&input, 1, 0) > 0;
}

#endif
