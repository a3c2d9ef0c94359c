/* uses_queue [N] -- queues signals to itself and makes timers, N of each (4) or as many as it is given:
 * all processes of a user share the kernel's limit. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 4, queued = 0, timers = 0, taken = 0;
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct timespec now = { 0, 0 };
	union sigval value = { .sival_int = 7 };
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (queued < wanted && sigqueue(getpid(), SIGRTMIN, value) == 0)
		queued++;
	while (sigtimedwait(&set, NULL, &now) == SIGRTMIN)
		taken++;
	while (timers < wanted && timer_create(CLOCK_MONOTONIC, &none, &timer) == 0)
		timers++;
	printf("queued %d, taken %d, timers %d\n", queued, taken, timers);
	return 0;
}
