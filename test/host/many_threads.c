/* many_threads [N] -- threads that use the CPU, and as many that sleep in calls which a signal would end
 * early: none is.  With N they go on until the end of standard input; a line ends all but four. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_int stay, interrupted;

static __attribute__((noinline)) void burn_here(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 3000000; i++)
		x = x * 3 + 1;
}

static void *works(void *number)
{
	do
		burn_here();
	while ((intptr_t)number < stay);
	return NULL;
}

static void *sleeps(void *number)
{
	struct timespec t = { 0, 50000000 };

	do {
		if (poll(NULL, 0, 50) != 0 && errno == EINTR)
			interrupted++;
		if (nanosleep(&t, NULL) != 0 && errno == EINTR)
			interrupted++;
	} while ((intptr_t)number < stay);
	return NULL;
}

/* poll, unlike read, is never restarted. */
static int has_line(void)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	char line[80];

	while (poll(&input, 1, -1) != 1)
		interrupted++;
	return read(STDIN_FILENO, line, sizeof(line)) > 0;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 10;
	pthread_t *thread = calloc((size_t)n, sizeof(*thread));

	stay = argc > 1 ? n : 0;
	for (intptr_t i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, i % 2 == 0 ? works : sleeps, (void *)i) != 0)
			abort();
	puts("ready");
	fflush(stdout);
	if (argc > 1 && has_line()) {
		stay = 4;
		for (int i = 4; i < n; i++)
			pthread_join(thread[i], NULL);
		puts("four");
		fflush(stdout);
		(void)!has_line();
		n = 4;
	}
	stay = 0;
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	printf("interrupted %d\n", interrupted);
	free(thread);
	return 0;
}
