/* Lock and unlock of a read-write lock that nobody else wants: -w 1 to write, else to read.
 * -x 0: in a program that never had a second thread.
 * Usage: rwlock_hot [-n ops] [-w 0|1] [-x 0|1] */
#include "bench.h"

static struct {
	_Alignas(128) pthread_rwlock_t lock;
	long count;
} counter = { .lock = PTHREAD_RWLOCK_INITIALIZER };

int main(int argc, char **argv)
{
	long n = opt_long(argc, argv, "-n", 30000000);
	int (*lock)(pthread_rwlock_t *) = opt_long(argc, argv, "-w", 0) ? pthread_rwlock_wrlock
									: pthread_rwlock_rdlock;
	if (opt_long(argc, argv, "-x", 1))
		go_multithreaded();
	double w = now_secs(), c = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
	for (long i = 0; i < n; i++) {
		lock(&counter.lock);
		counter.count++;
		pthread_rwlock_unlock(&counter.lock);
	}
	report("rwlock_hot", 1, (double)n, now_secs() - w,
	       clock_secs(CLOCK_PROCESS_CPUTIME_ID) - c);
	return 0;
}
