/* Two threads that take turns by a mutex and two conditions, on one processor. 1 op = there and back.
 * Usage: cond_pingpong [-n ops] */
#include "bench.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned[2] = { PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER };
static long ops;
static int turn;

static void *work(void *arg)
{
	int mine = (int)(intptr_t)arg;
	for (long i = 0; i < ops; i++) {
		pthread_mutex_lock(&lock);
		while (turn != mine)
			pthread_cond_wait(&turned[mine], &lock);
		turn = !mine;
		pthread_cond_signal(&turned[!mine]);
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

int main(int argc, char **argv)
{
	ops = opt_long(argc, argv, "-n", 300000);
	stay_on_this_cpu();
	double w = now_secs(), c = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
	run_threads(2, work);
	report("cond_pingpong", 2, (double)ops, now_secs() - w, clock_secs(CLOCK_PROCESS_CPUTIME_ID) - c);
	return 0;
}
