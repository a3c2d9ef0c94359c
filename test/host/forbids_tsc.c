/* Forbids itself to read the time stamp counter, and then does what a profiler takes the time of:
 * memory, a thread that waits for a lock, CPU time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CALLED __attribute__((noinline, noclone))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long sink;

static CALLED void burn(void)
{
	for (unsigned long i = 0; i < 300000000; i++)
		sink += i;
}

static CALLED void *wait_for_it(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		pthread_mutex_lock(&lock);
		usleep(1000);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0)
		return 1;
	if (pthread_create(&thread, NULL, wait_for_it, NULL) != 0)
		return 1;
	for (int i = 0; i < 10000; i++)
		free(strdup("something of some length"));
	wait_for_it(NULL);
	pthread_join(thread, NULL);
	burn();
	puts("done");
	return 0;
}
