/* One mutex that all threads want: -i units of work with it, -o units without. Says also in which share of
 * its turns it found the lock held: the figures have two humps, with much of that and with little.
 * Usage: lock_shared [-t threads] [-n ops per thread] [-i units] [-o units] */
#include "bench.h"

static struct {
	_Alignas(128) pthread_mutex_t lock;
	long count;
} counter = { .lock = PTHREAD_MUTEX_INITIALIZER };

static long ops, inside, outside;
static _Atomic long met;

static void units(long n)
{
	for (long i = 0; i < n; i++)
		USE(i);
}

static void *work(void *arg)
{
	long held = 0;
	for (long i = 0; i < ops; i++) {
		held += __atomic_load_n(&counter.lock.__data.__lock, __ATOMIC_RELAXED) != 0;
		pthread_mutex_lock(&counter.lock);
		counter.count++;
		units(inside);
		pthread_mutex_unlock(&counter.lock);
		units(outside);
	}
	met += held;
	return arg;
}

int main(int argc, char **argv)
{
	int threads = (int)opt_long(argc, argv, "-t", 2);
	ops = opt_long(argc, argv, "-n", 2000000);
	inside = opt_long(argc, argv, "-i", 50);
	outside = opt_long(argc, argv, "-o", 200);
	go_multithreaded();
	double w = now_secs(), c = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
	run_threads(threads, work);
	double n = (double)ops * threads;
	printf("contended_share=%.4f ", (double)met / n);
	report("lock_shared", threads, n, now_secs() - w, clock_secs(CLOCK_PROCESS_CPUTIME_ID) - c);
	return 0;
}
