/* lock_shares N [MS] -- one long holder of hot_lock against N short ones, all of which wait for each
 * other: who is to blame for how much of it? */
#include <pthread.h>
#include <stdatomic.h>

#include "lock_truth.h"

#define SHORT_MAX 64

pthread_mutex_t hot_lock = PTHREAD_MUTEX_INITIALIZER;

static atomic_int over;

/* The unlock is where a holder is charged, and the lock where a waiter has waited. */
NOINLINE void takes_it(const char *who)
{
	uint64_t begin = truth_now();

	pthread_mutex_lock(&hot_lock);
	truth_waited(who, begin);
	__asm__ volatile("");
}

NOINLINE void holds_long(void)
{
	uint64_t begin;

	takes_it("takes_it");
	begin = truth_now();
	pass(12 * MS);
	truth_held("holds_long", begin);
	pthread_mutex_unlock(&hot_lock);
	__asm__ volatile("");
}

NOINLINE void holds_short(void)
{
	uint64_t begin;

	takes_it("takes_it");
	begin = truth_now();
	pass(MS / 2);
	truth_held("holds_short", begin);
	pthread_mutex_unlock(&hot_lock);
	__asm__ volatile("");
}

static void *runs_long(void *arg)
{
	while (!over) {
		holds_long();
		pass(4 * MS);
	}
	return arg;
}

static void *runs_short(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!over) {
		holds_short();
		pass((uint64_t)(rand_r(&seed) % 6000) * 1000);
	}
	return arg;
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
	pthread_t thread[SHORT_MAX + 1];

	if (n == 0 || n > SHORT_MAX) {
		puts("lock_shares N [MS]");
		return 0;
	}
	pthread_create(&thread[n], NULL, runs_long, NULL);
	for (unsigned i = 0; i < n; i++)
		pthread_create(&thread[i], NULL, runs_short, (void *)(uintptr_t)(i + 1));
	pass((argc > 2 ? strtoull(argv[2], NULL, 10) : 3000) * MS);
	over = 1;
	for (unsigned i = 0; i <= n; i++)
		pthread_join(thread[i], NULL);
	truth_say();
	stay();
	return 0;
}
