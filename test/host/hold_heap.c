/* hold_heap [DIVISOR] -- keeps an exact number of blocks alive from three call sites, at 16 bytes, 3000
 * bytes and 1 MiB; frees as many again from the same sites, and all of a fourth and a fifth one.
 * DIVISOR makes the numbers of blocks smaller.
 * Prints "truth FUNCTION SIZE LIVE ALLOCATED", then "ready", and waits for the end of its input. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static NOINLINE void *keep(void *p)
{
	if (p == NULL)
		abort();
	*(volatile char *)p = 1;
	return p;
}

#define SITE(name, size) \
	NOINLINE void *name(void); \
	NOINLINE void *name(void) { return keep(malloc(size)); }
SITE(hold_small, 16)
SITE(hold_middle, 3000)
SITE(hold_large, 1 << 20)
SITE(drop_small, 200)
SITE(drop_large, 300000)

static const struct site {
	const char *name;
	void *(*take)(void);
	size_t size;
	unsigned long live, freed;
} sites[] = {
	{ "hold_small", hold_small, 16, 1000000, 500000 },
	{ "hold_middle", hold_middle, 3000, 10000, 10000 },
	{ "hold_large", hold_large, 1 << 20, 40, 20 },
	{ "drop_small", drop_small, 200, 0, 200000 },
	{ "drop_large", drop_large, 300000, 0, 500 },
};

int main(int argc, char **argv)
{
	unsigned long divisor = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	static void *last[64];
	char c;

	for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
		const struct site *s = &sites[i];
		unsigned long live = s->live / divisor, freed = s->freed / divisor;

		/* Those to be freed lie between those that stay. */
		for (unsigned long n = 0; n < live || n < freed; n++) {
			if (n < live)
				last[0] = s->take();
			if (n < freed) {
				free(last[1 + n % 63]);
				last[1 + n % 63] = s->take();
			}
		}
		for (int n = 1; n < 64; n++) {
			free(last[n]);
			last[n] = NULL;
		}
		printf("truth %s %zu %lu %lu\n", s->name, s->size, live, live + freed);
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
