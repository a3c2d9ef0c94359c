/* many_stacks [STACKS [BYTES]] -- live blocks, each allocated by a stack of its own, 20 calls deep; says
 * "ready" and waits for the end of its input. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH 20
#define FUNCTIONS 64

static void **kept;
static size_t bytes = 64;

typedef void step(uint64_t path, unsigned depth, uint64_t i);
static step *const steps[FUNCTIONS];

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* The outer half of the path is that of a hundred others, as in a real program. */
static inline __attribute__((always_inline)) void go_on(uint64_t path, unsigned depth, uint64_t i)
{
	if (depth == 0)
		kept[i] = malloc(bytes);
	else
		steps[path % FUNCTIONS](depth == DEPTH / 2 ? mix(i) : path / FUNCTIONS, depth - 1, i);
	__asm__ volatile("" ::: "memory");      /* not a jump */
}

#define F(n) \
	static __attribute__((noinline)) void step_##n(uint64_t path, unsigned depth, uint64_t i) \
	{                                                                                         \
		go_on(path, depth, i);                                                            \
	}
#define EIGHT(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7)
#define ALL(X) EIGHT(X, 0) EIGHT(X, 1) EIGHT(X, 2) EIGHT(X, 3) EIGHT(X, 4) EIGHT(X, 5) EIGHT(X, 6) EIGHT(X, 7)
ALL(F)

#define NAME(n) step_##n,
static step *const steps[FUNCTIONS] = { ALL(NAME) };

int main(int argc, char **argv)
{
	uint64_t stacks = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	char byte;

	if (argc > 2)
		bytes = strtoull(argv[2], NULL, 10);
	kept = calloc(stacks, sizeof(*kept));
	for (uint64_t i = 0; i < stacks; i++)
		go_on(mix(i / 100 + 1000000007), DEPTH, i);
	printf("ready\n");
	fflush(stdout);
	while (fread(&byte, 1, 1, stdin) == 1)
		continue;
	return 0;
}
