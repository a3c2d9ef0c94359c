/* What threads cost from their birth to their end.
 *   -m churn   makes -n threads and joins them, at most -t alive; each does one round
 *   -m live    -t threads alive at once, each doing -n rounds
 * A round: eight blocks of the heap, a microsecond of arithmetic, one mutex that all want.
 * Usage: thread_life [-m mode] [-t threads] [-n count] */
#include <stdbool.h>

#include "bench.h"

static pthread_mutex_t one_for_all = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t together;
static long rounds_each, rounds_done;

static void one_round(uint64_t *random)
{
	void *block[8];
	uint64_t x = rng_next(random);

	for (int i = 0; i < 8; i++) {
		block[i] = malloc(16 + rng_below(random, 497));
		if (!block[i])
			die("malloc");
	}
	for (int i = 0; i < 8; i++)
		free(block[i]);
	for (int i = 0; i < 500; i++) {
		x = x * 3 + 1;
		USE(x);
	}
	pthread_mutex_lock(&one_for_all);
	rounds_done++;
	pthread_mutex_unlock(&one_for_all);
}

static void *lives_briefly(void *number)
{
	uint64_t random = rng_seed((unsigned)(intptr_t)number);

	one_round(&random);
	return NULL;
}

static void *lives_on(void *number)
{
	uint64_t random = rng_seed((unsigned)(intptr_t)number);

	/* All are alive from the first to the second of these. */
	pthread_barrier_wait(&together);
	for (long i = 0; i < rounds_each; i++)
		one_round(&random);
	pthread_barrier_wait(&together);
	return NULL;
}

static void churn(long threads, long alive)
{
	pthread_t t[MAX_THREADS];

	for (long i = 0; i < threads; i++) {
		pthread_t *slot = &t[i % alive];

		if (i >= alive)
			pthread_join(*slot, NULL);
		errno = pthread_create(slot, NULL, lives_briefly, (void *)(intptr_t)i);
		if (errno)
			die("pthread_create");
	}
	for (long i = 0; i < alive && i < threads; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	bool live = strcmp(opt_str(argc, argv, "-m", "churn"), "live") == 0;
	long threads = opt_long(argc, argv, "-t", live ? 500 : 4);
	long n = opt_long(argc, argv, "-n", live ? 1000 : 20000);
	double wall = now_secs(), cpu = clock_secs(CLOCK_PROCESS_CPUTIME_ID);

	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	if (live) {
		rounds_each = n;
		pthread_barrier_init(&together, NULL, (unsigned)threads);
		run_threads((int)threads, lives_on);
	} else {
		churn(n, threads);
	}
	report(live ? "thread_life/live" : "thread_life/churn", (int)threads, (double)rounds_done,
	       now_secs() - wall, clock_secs(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	return 0;
}
