/* What a thread has in memory after it used the CPU, the heap and a lock that others want too: all
 * anonymous memory of the process, and how much of that is the threads' own stacks.  Divided by
 * their number.
 * Usage: thread_memory [-t threads] */
#include <stdbool.h>

#include <sys/mman.h>

#include "bench.h"

#define STACK (UINT64_C(256) << 10)
#define PAGE  4096

static pthread_mutex_t one_for_all = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t together, end;

NOINLINE static void use_all(void)
{
	double until = clock_secs(CLOCK_THREAD_CPUTIME_ID) + 0.03;      /* three ticks */
	uint64_t x = 1;

	while (clock_secs(CLOCK_THREAD_CPUTIME_ID) < until)
		for (int i = 0; i < 1000; i++) {
			x = x * 3 + 1;
			USE(x);
		}
	for (int i = 0; i < 30; i++) {
		char *block = malloc(100000);

		if (!block)
			die("malloc");
		*block = 1;
		free(block);
	}
	pthread_mutex_lock(&one_for_all);
	usleep(100);
	pthread_mutex_unlock(&one_for_all);
}

static void *live(void *unused)
{
	use_all();
	pthread_barrier_wait(&together);
	pthread_barrier_wait(&end);
	return unused;
}

static double anonymous_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	double kib = 0;

	if (!f)
		die("smaps_rollup");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %lf", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	long threads = opt_long(argc, argv, "-t", 500);
	pthread_t *t = malloc((size_t)threads * sizeof(*t));
	char *stacks = mmap(NULL, (size_t)threads * STACK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned char *there = malloc((size_t)threads * STACK / PAGE);
	double all, of_stacks = 0;
	pthread_attr_t attr;

	if (threads < 1 || !t || !there || stacks == MAP_FAILED)
		die("memory");
	pthread_barrier_init(&together, NULL, (unsigned)threads + 1);
	pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
	pthread_attr_init(&attr);
	for (long i = 0; i < threads; i++) {
		pthread_attr_setstack(&attr, stacks + (size_t)i * STACK, STACK);
		errno = pthread_create(&t[i], &attr, live, NULL);
		if (errno)
			die("pthread_create");
	}
	pthread_barrier_wait(&together);
	all = anonymous_kib();
	if (mincore(stacks, (size_t)threads * STACK, there) != 0)
		die("mincore");
	for (size_t i = 0; i < (size_t)threads * STACK / PAGE; i++)
		of_stacks += (there[i] & 1) * PAGE / 1024.0;
	pthread_barrier_wait(&end);
	for (long i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	printf("thread_memory threads=%ld stack_kib=%.2f other_kib=%.2f\n", threads,
	       of_stacks / (double)threads, (all - of_stacks) / (double)threads);
	return 0;
}
