/* serve.h -- what the hosts here do while their profiles are fetched: they hold SERVE_BLOCKS blocks of
 * SERVE_BYTES from one place, and spin in another until the end of their input. */
#ifndef SERVE_H
#define SERVE_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SERVE_BLOCKS = 200, SERVE_BYTES = 100000 };

__attribute__((noinline)) void *hold_here(void);
__attribute__((noinline)) void *hold_here(void)
{
	char *volatile p = malloc(SERVE_BYTES);

	if (p == NULL)
		abort();
	memset(p, 1, SERVE_BYTES);
	return p;
}

__attribute__((noinline)) uint64_t spin_here(uint64_t x);
__attribute__((noinline)) uint64_t spin_here(uint64_t x)
{
	for (int i = 0; i < 1000000; i++) {
		x = x * UINT64_C(6364136223846793005) + 1;
		__asm__ volatile("" : "+r"(x));
	}
	return x + 1;
}

static int input_ended(void)
{
	struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
	char byte;

	return poll(&in, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

/* each: what else to do, again and again; or NULL. */
static void serve(void (*each)(void))
{
	static void *held[SERVE_BLOCKS];
	uint64_t x = 1;

	for (int i = 0; i < SERVE_BLOCKS; i++)
		held[i] = hold_here();
	puts("ready");
	fflush(stdout);
	do {
		x = spin_here(x);
		if (each != NULL)
			each();
	} while (!input_ended());
	for (int i = 0; i < SERVE_BLOCKS; i++)
		free(held[i]);
	puts("served");
}

#endif
