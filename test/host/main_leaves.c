/* main_leaves -- main ends by pthread_exit; the process ends with status 0 when the last thread returns. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_t first;

static void *last_one(void *unused)
{
	volatile uint64_t x = 1;

	pthread_join(first, NULL);
	for (int i = 0; i < 100000000; i++)
		x = x * 3 + 1;
	free(malloc(1 << 25));
	puts("main has left, I go too");
	return unused;
}

int main(void)
{
	pthread_t t;

	first = pthread_self();
	pthread_create(&t, NULL, last_one, NULL);
	pthread_detach(t);
	pthread_exit(NULL);
}
