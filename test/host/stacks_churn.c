/* stacks_churn [-s SECONDS] [ROUNDS] -- nearly every stack is new, for the CPU and for the heap: each
 * round goes down through DEPTH calls, drawn at random from WAYS places, works there for some 20 us
 * and allocates a block, which one of the next rounds frees.  One block stays, that of keep_one.
 * SECONDS: of CPU time, instead of ROUNDS, or more, up to the first byte of its input.  Then it says
 * what it did and, with -s, waits for the end of its input.
 * Prints "truth allocated BYTES OBJECTS live BYTES OBJECTS". */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define DEPTH 12
#define STEPS 10000     /* of a dependent multiply-add: 10 to 20 us */
#define LIVE  64
#define KEPT  (4u << 20)

static uint64_t seed = 88172645463325252u;
static unsigned long allocated_bytes, allocated, live_bytes, live;
static struct block { char *p; size_t size; } block[LIVE];
static char *volatile kept;

static uint64_t next(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(2685821657736338717);
}

static void count(size_t size)
{
	allocated_bytes += size;
	allocated++;
	live_bytes += size;
	live++;
}

static NOINLINE void work(void)
{
	struct block *b = &block[next() >> 58];
	uint64_t x = seed;

	for (int i = 0; i < STEPS; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		__asm__ volatile("" : "+r"(x));
	}
	if (b->p != NULL) {
		free(b->p);
		live_bytes -= b->size;
		live--;
	}
	b->size = 16 + (next() >> 52);
	b->p = malloc(b->size);
	if (b->p == NULL)
		abort();
	b->p[0] = (char)x;
	count(b->size);
}

static NOINLINE void down(unsigned depth);

/* Each is a function of its own, for the constant keeps them apart. */
#define WAY(k)                                                          \
	static NOINLINE void way_##k(unsigned depth)                    \
	{                                                               \
		down(depth);                                            \
		__asm__ volatile("" : : "i"(k) : "memory");             \
	}
WAY(0) WAY(1) WAY(2) WAY(3) WAY(4) WAY(5) WAY(6) WAY(7)

static NOINLINE void down(unsigned depth)
{
	static void (*const way[])(unsigned) = { way_0, way_1, way_2, way_3,
						 way_4, way_5, way_6, way_7 };

	if (depth == 0)
		work();
	else
		way[next() >> 61](depth - 1);
	__asm__ volatile("" : : : "memory");    /* no tail call */
}

static NOINLINE void keep_one(void)
{
	kept = malloc(KEPT);
	if (kept == NULL)
		abort();
	kept[0] = 1;
	count(KEPT);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int has_input(void)
{
	struct pollfd in = { 0, POLLIN, 0 };

	return poll(&in, 1, 0) > 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 && strcmp(argv[1], "-s") == 0 ? atof(argv[2]) : 0;
	long rounds = argc == 2 ? atol(argv[1]) : 20000;
	char byte;

	keep_one();
	for (long i = 0; seconds > 0 || i < rounds; i++) {
		if (seconds > 0 && i % 100 == 0 && cpu_seconds() >= seconds && has_input())
			break;
		down(DEPTH);
	}
	printf("truth allocated %lu %lu live %lu %lu\n", allocated_bytes, allocated, live_bytes,
	       live);
	fflush(stdout);
	while (seconds > 0 && read(0, &byte, 1) > 0)
		continue;
	return kept[0] - 1;
}
