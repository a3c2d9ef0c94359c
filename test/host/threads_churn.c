/* threads_churn -- two thousand short threads that end in every way there is: return, pthread_exit, cancel,
 * detached; with small stacks, names, and work in some.  Counts that all did. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int returned, exited, cancelled, detached, cleaned;
static sem_t gone;

static void clean(void *p)
{
	free(p);
	cleaned++;
}

static void *body(void *arg)
{
	intptr_t n = (intptr_t)arg;
	volatile uint64_t x = 1;
	void *p = malloc((size_t)(n * 517 % 20000));

	pthread_cleanup_push(clean, p);
	if (n % 16 == 0)
		for (int i = 0; i < 500000; i++)
			x = x * 3 + 1;
	if (n % 64 == 0)
		pthread_setname_np(pthread_self(), "churner");
	switch (n % 4) {
	case 0: returned++; break;
	case 1: exited++; pthread_exit((void *)1);
	case 2:
		cancelled++;
		for (;;)
			pause(); /* a point where cancel arrives */
	case 3: detached++; break;
	}
	pthread_cleanup_pop(1);
	if (n % 4 == 3)
		sem_post(&gone);
	return NULL;
}

int main(void)
{
	pthread_t threads[8];
	pthread_attr_t small;
	int joined = 0, through_cancel = 0;

	sem_init(&gone, 0, 0);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (intptr_t n = 0; n < 2000; n += 8) {
		for (int i = 0; i < 8; i++) {
			if (pthread_create(&threads[i], i < 4 ? &small : NULL, body,
					   (void *)(n + i)) != 0) {
				puts("pthread_create failed");
				return 1;
			}
		}
		for (int i = 0; i < 8; i++) {
			void *result;

			if (i % 4 == 3) {
				pthread_detach(threads[i]);
				sem_wait(&gone);
				continue;
			}
			if (i % 4 == 2)
				pthread_cancel(threads[i]);
			joined += pthread_join(threads[i], &result) == 0;
			through_cancel += result == PTHREAD_CANCELED;
		}
	}
	/* One cancelled before its first line never counts itself. */
	printf("joined %d, cancelled %d, returned %d, exited %d, detached %d, rest %d\n", joined,
	       through_cancel, returned, exited, detached, cancelled <= 500 && cleaned >= 1500);
	return 0;
}
