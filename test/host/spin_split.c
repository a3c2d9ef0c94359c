/* spin_split [SLICES [DEPTH]] -- spends its CPU in five functions, 70, 20, 6, 3 and 1 % of it, at the
 * bottom of DEPTH frames.  Each slice is drawn at random, so that no sampling period can lock on to
 * the order, and all slices do the same work.  SLICES 0: until killed.
 * Prints what was done: "truth FUNCTION SLICES". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline))
#define STEPS    20000 /* of a dependent multiply-add: 20 to 40 us */

static inline __attribute__((always_inline)) uint64_t kernel(uint64_t x)
{
	for (int i = 0; i < STEPS; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

/* The constants keep the bodies from being folded into one. */
#define LEAF(name, k) \
	NOINLINE uint64_t name(uint64_t x); \
	NOINLINE uint64_t name(uint64_t x) { return kernel(x + k) ^ k; }
LEAF(leaf_70, 70)
LEAF(leaf_20, 20)
LEAF(leaf_06, 6)
LEAF(leaf_03, 3)
LEAF(leaf_01, 1)

static uint64_t (*const leaves[5])(uint64_t) = { leaf_70, leaf_20, leaf_06, leaf_03, leaf_01 };
static const char *const names[5] = { "leaf_70", "leaf_20", "leaf_06", "leaf_03", "leaf_01" };
static unsigned long done[5];

NOINLINE uint64_t descend(long depth, int leaf, uint64_t x);
NOINLINE uint64_t descend(long depth, int leaf, uint64_t x)
{
	if (depth == 0)
		return leaves[leaf](x) + 1;
	x = descend(depth - 1, leaf, x);
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

static uint64_t next(uint64_t *s)
{
	uint64_t x = *s;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*s = x;
	return x * UINT64_C(2685821657736338717);
}

int main(int argc, char **argv)
{
	long slices = argc > 1 ? atol(argv[1]) : 20000, depth = argc > 2 ? atol(argv[2]) : 20;
	uint64_t seed = 88172645463325252u, x = 1;

	for (long i = 0; slices == 0 || i < slices; i++) {
		unsigned r = (unsigned)((next(&seed) >> 33) % 100);
		int leaf = r < 70 ? 0 : r < 90 ? 1 : r < 96 ? 2 : r < 99 ? 3 : 4;

		done[leaf]++;
		x = descend(depth, leaf, x);
	}
	for (int i = 0; i < 5; i++)
		printf("truth %s %lu\n", names[i], done[i]);
	return x == 0;
}
