/* spins_early -- a library that is ready before us, whose constructor has made a thread: it uses
 * the CPU from then on, half of the time. */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

__attribute__((noinline)) void *spin_early(void *unused)
{
	struct timespec rest = { 0, 5000000 };
	volatile uint64_t x = 1;

	(void)unused;
	for (;;) {
		for (int i = 0; i < 2000000; i++)
			x = x * 3 + 1;
		nanosleep(&rest, NULL);
	}
}

__attribute__((constructor)) static void begin(void)
{
	pthread_t t;

	pthread_create(&t, NULL, spin_early, NULL);
}
