/* What sampling adds to a sampled call at the start of a long run, and at its end.  The heap profile is linked in
 * and called as the doors do, so each sampled call is known; below it is libc's malloc.
 * Blocks of one size, or log-uniform from 16 bytes to 64 KiB; all of them live -l MiB at a time, and
 * a random one gives its place to the next; every fourth time 40 bytes are allocated and stay for a while.
 * Usage: long [-s size, 0 mixed] [-l live MiB] [-n ops] [-p 1: plain, nothing is sampled] [-r rate]
 * Prints for each quarter sampled=, take_ns= and free_ns=: the medians of what a sampled malloc, and the
 * free of a sampled block, take more; in the end rss_kib=. */
#include "test/bench/bench.h"
#include "test/fake/heap_doors.h"

enum { QUARTERS = 4, KEPT_MAX = 1 << 17 };

static double took[2][KEPT_MAX];        /* takes, frees */
static long times[2];
static long plain;

static void keep(int kind, double began)
{
	if (times[kind] < KEPT_MAX)
		took[kind][times[kind]++] = (now_secs() - began) * 1e9;
}

/* The doors of preload/hook_malloc.c. */
static NOINLINE void *take(size_t n)
{
	void *p;
	double began;

	if (plain || likely(heap_passes(n)))
		return malloc(n);
	p = malloc(n);
	began = now_secs();
	heap_sample(p, n);
	keep(0, began);
	return p;
}

static NOINLINE void give(void *p)
{
	double began;

	if (plain || heap_is_unsampled(p)) {
		free(p);
		return;
	}
	began = now_secs();
	heap_forget(p);
	keep(1, began);
	free(p);
}

static long size, mean;

static size_t pick_size(uint64_t *rng)
{
	uint32_t bits;

	if (size != 0)
		return (size_t)size;
	bits = 4 + rng_below(rng, 12);
	return ((size_t)1 << bits) + rng_below(rng, (uint32_t)1 << bits);
}

static char *touched(char *p, size_t n)
{
	if (p == NULL)
		die("malloc");
	for (size_t i = 0; i < n; i += 4096)
		p[i] = 1;
	return p;
}

static long rss_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
		die("statm");
	fclose(f);
	return pages * 4;
}

/* Not by qsort, whose malloc would be in the figures. */
static double median(int kind)
{
	double *a = took[kind];
	long lo = 0, hi = times[kind] - 1, mid = times[kind] / 2;

	while (lo < hi) {
		double pivot = a[mid];
		long i = lo, k = hi;
		while (i <= k) {
			while (a[i] < pivot)
				i++;
			while (a[k] > pivot)
				k--;
			if (i <= k) {
				double swapped = a[i];
				a[i++] = a[k];
				a[k--] = swapped;
			}
		}
		if (k < mid)
			lo = i;
		if (mid < i)
			hi = k;
	}
	return times[kind] == 0 ? 0 : a[mid];
}

int main(int argc, char **argv)
{
	long ops = opt_long(argc, argv, "-n", 80000000), live_mib = opt_long(argc, argv, "-l", 100);
	uint64_t rng = rng_seed(1);

	plain = opt_long(argc, argv, "-p", 0);
	size = opt_long(argc, argv, "-s", 0);
	mean = size != 0 ? size : 8192; /* of the log-uniform ones, about */
	if (heap_doors_begin() < 0 || heap_init(16u << 20) < 0)
		die("init");
	memset(took, 1, sizeof took);   /* resident in a plain run, too */
	draw_anew((uint64_t)opt_long(argc, argv, "-r", 512 << 10));

	long slots = live_mib * 1048576 / mean, pinned = slots / 4 + 1;
	char **live = calloc((size_t)slots, sizeof *live), **pins = calloc((size_t)pinned, sizeof *pins);
	if (live == NULL || pins == NULL)
		die("calloc");
	for (int quarter = 0; quarter < QUARTERS; quarter++) {
		times[0] = times[1] = 0;
		double began = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
		for (long i = 0; i < ops / QUARTERS; i++) {
			char **slot = &live[rng_below(&rng, (uint32_t)slots)];
			size_t n = pick_size(&rng);
			give(*slot);
			*slot = touched(take(n), n);
			if (i % 4 == 0) {
				slot = &pins[rng_below(&rng, (uint32_t)pinned)];
				give(*slot);
				*slot = touched(take(40), 40);
			}
		}
		double cpu = clock_secs(CLOCK_PROCESS_CPUTIME_ID) - began;
		printf("quarter=%d sampled=%ld take_ns=%.0f free_ns=%.0f cpu_ns_per_op=%.1f\n", quarter + 1,
		       times[0], median(0), median(1), cpu / (double)(ops / QUARTERS) * 1e9);
		fflush(stdout);
	}
	printf("rss_kib=%ld\n", rss_kib());
	return 0;
}
