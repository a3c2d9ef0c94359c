/* small_stacks -- threads on the smallest stack that there is, using most of it, and handlers on small
 * alternate stacks, with work in both. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile uint64_t x = 1;
static volatile int handled;

static void burn(int n)
{
	for (int i = 0; i < n; i++)
		x = x * 3 + 1;
}

/* With some 4 KiB of TLS, guard and frames of libc this leaves room for one small signal frame. */
static void *uses_most(void *unused)
{
	volatile char frame[6000];

	memset((char *)(uintptr_t)frame, 1, sizeof(frame));
	burn(3000000);
	free(malloc(100000));
	return frame[5999] == 1 ? unused : NULL;
}

static void on_usr1(int signo)
{
	burn(50000000);
	free(malloc(300000));
	handled += signo == SIGUSR1;
}

static void *on_alternate_stack(void *size)
{
	stack_t ss = { .ss_size = (size_t)(intptr_t)size };

	ss.ss_sp = malloc(ss.ss_size);
	if (sigaltstack(&ss, NULL) == 0)
		pthread_kill(pthread_self(), SIGUSR1);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
	free(ss.ss_sp);
	return NULL;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = SA_ONSTACK };
	pthread_attr_t attr;
	pthread_t t;
	int ran = 0;
	void *result;

	pthread_attr_init(&attr);
	for (int i = 0; i < 200; i++) {
		pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN);
		if (pthread_create(&t, &attr, uses_most, (void *)1) == 0)
			ran += pthread_join(t, &result) == 0 && result != NULL;
	}
	printf("threads: %d\n", ran);
	sigaction(SIGUSR1, &sa, NULL);
	for (intptr_t kib = 8; kib <= 64; kib *= 2) {
		pthread_create(&t, NULL, on_alternate_stack, (void *)(kib << 10));
		pthread_join(t, NULL);
	}
	printf("handlers: %d\n", handled);
	return 0;
}
