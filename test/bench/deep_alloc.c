/* W3: allocation at the bottom of a deep call stack, with many distinct
 * stacks. Built -O2 -fomit-frame-pointer, so a frame-pointer walker sees
 * nothing. Each descent takes one of -p paths through two functions that
 * call each other, then does BATCH free/malloc pairs at the bottom.
 * Usage: deep_alloc [-t threads] [-n ops per thread] [-d depth] [-p paths] */
#include "bench.h"

#define BATCH 32
#define LIVE 10000
static long n_ops, depth, n_paths;

struct ctx {
	uint64_t rng;
	uint64_t **live;
};

NOINLINE static long bottom(struct ctx *c)
{
	long sum = 0;
	for (int i = 0; i < BATCH; i++) {
		uint64_t **slot = &c->live[rng_below(&c->rng, LIVE)];
		free(*slot);
		size_t size = 16 + rng_below(&c->rng, 497);
		uint64_t *p = malloc(size);
		if (!p)
			die("malloc");
        *p = size;
        *slot = p;
		sum += (long)size;
	}
	return sum;
}

NOINLINE static long step_a(struct ctx *c, long d, uint64_t path);

/* "+ d" after the call keeps it from becoming a tail call. */
NOINLINE static long step_b(struct ctx *c, long d, uint64_t path)
{
	char pad[48]; /* another frame size than step_a's */
	USE(pad);
	if (d == 0)
		return bottom(c) + 1;
	long r = (path & 1) ? step_a(c, d - 1, path >> 1)
						: step_b(c, d - 1, path >> 1);
	USE(pad);
	return r + d;
}

NOINLINE static long step_a(struct ctx *c, long d, uint64_t path)
{
	if (d == 0)
		return bottom(c) + 2;
	long r = (path & 1) ? step_b(c, d - 1, path >> 1)
						: step_a(c, d - 1, path >> 1);
	USE(r);
	return r - d;
}

static void *worker(void *arg)
{
	struct ctx c = {rng_seed((unsigned)(intptr_t)arg), NULL};
	c.live = calloc(LIVE, sizeof *c.live);
	if (!c.live)
		die("calloc");
	long sum = 0;
	for (long i = 0; i < n_ops; i += BATCH) {
		uint64_t id = rng_below(&c.rng, (uint32_t)n_paths);
		sum += step_a(&c, depth, id * UINT64_C(0x9E3779B97F4A7C15));
	}
	USE(sum);
	for (long i = 0; i < LIVE; i++)
		free(c.live[i]);
	free(c.live);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = (int)opt_long(argc, argv, "-t", 1);
	n_ops = opt_long(argc, argv, "-n", 20000000);
	depth = opt_long(argc, argv, "-d", 40);
	n_paths = opt_long(argc, argv, "-p", 256);
	double w = now_secs(), c = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
	run_threads(threads, worker);
	report("deep_alloc", threads, (double)n_ops * threads, now_secs() - w,
		   clock_secs(CLOCK_PROCESS_CPUTIME_ID) - c);
	return 0;
}
