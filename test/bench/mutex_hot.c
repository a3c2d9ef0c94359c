/* Lock and unlock of a mutex that nobody else wants.
 * -x 0: in a program that never had a second thread, where libc needs no atomics.
 * Usage: mutex_hot [-n ops] [-x 0|1] */
#include "bench.h"

static struct {
	_Alignas(128) pthread_mutex_t lock;
	long count;
} counter = { .lock = PTHREAD_MUTEX_INITIALIZER };

int main(int argc, char **argv)
{
	long n = opt_long(argc, argv, "-n", 50000000);
	if (opt_long(argc, argv, "-x", 1))
		go_multithreaded();
	double w = now_secs(), c = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&counter.lock);
		counter.count++;
		pthread_mutex_unlock(&counter.lock);
	}
	report("mutex_hot", 1, (double)n, now_secs() - w,
	       clock_secs(CLOCK_PROCESS_CPUTIME_ID) - c);
	return 0;
}
