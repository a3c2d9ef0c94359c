#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "fake/odds.h"
#include "sampler/compiler.h"
#include "sampler/random.h"

#define GOLDEN   UINT64_C(0x9e3779b97f4a7c15)
#define MULTIPLY UINT64_C(0x2545f4914f6cdd1d)

/* --- the generator --------------------------------------------------------------------------- */

/* The reference of Vigna's xorshift64* (prng.di.unimi.it), from 1. */
static void the_numbers_are_those_of_xorshift64star(void **state)
{
	static const uint64_t want[] = {
		UINT64_C(0x47e4ce4b896cdd1d), UINT64_C(0xabcfa6a8e079651d),
		UINT64_C(0xb9d10d8feb731f57), UINT64_C(0x4db418a0bb1b019d),
	};
	uint64_t random = 1;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_true(random_next(&random) == want[i]);
}

static void no_seed_is_zero(void **state)
{
	(void)state;
	/* What the hash takes to 0, and with 0 the generator would stay there. */
	assert_int_not_equal(random_seed(0 - GOLDEN), 0);
	assert_int_not_equal(random_seed(0), 0);
	assert_true(random_seed(1) != random_seed(2));
}

/* The state whose next number is n: multiplication and shifts, backwards. */
static uint64_t state_before(uint64_t n)
{
	uint64_t inverse = MULTIPLY, x;

	for (int i = 0; i < 6; i++)             /* Newton: each time twice as many bits */
		inverse *= 2 - MULTIPLY * inverse;
	x = n * inverse;
	x ^= x >> 27 ^ x >> 54;
	x ^= x << 25 ^ x << 50;
	x ^= x >> 12 ^ x >> 24 ^ x >> 36 ^ x >> 48 ^ x >> 60;
	return x;
}

/* --- gaps ------------------------------------------------------------------------------------ */

#define DRAWS 200000

/* The same draw with libm's logarithm. */
static double gap_by_libm(uint64_t n, double mean)
{
	return -log((double)((n >> 11) + 1) * 0x1p-53) * mean;
}

static void gaps_are_libms_to_1e_9(void **state)
{
	uint64_t seed = odds_seed(), random = random_seed(seed);
	/* At this mean, rounding up to a whole number is 1e-15 of it. */
	uint64_t mean = UINT64_C(1) << 50;

	(void)state;
	for (int i = 0; i < 1000000; i++) {
		uint64_t copy = random;
		double want = gap_by_libm(random_next(&copy), (double)mean);
		double got = (double)random_exponential(&random, mean);

		if (fabs(got - want) > 1 + want * 1e-9)
			fail_msg("seed %#llx: %.3f, not %.3f", (unsigned long long)seed, got, want);
	}
}

static void gaps_of_extreme_numbers_are_libms(void **state)
{
	/* u is 2^-53, 2^-52, about 1/2, where the logarithm changes its octave, just under 1, and
	 * 1. */
	static const uint64_t number[] = {
		1, 2047, 2048, 1u << 12, UINT64_C(1) << 63, (UINT64_C(1) << 63) - 2048,
		UINT64_C(0xb504f333f9de6000), UINT64_C(0xb504f333f9de6800),
		UINT64_C(0xb504f333f9de7000), UINT64_C(0x5a827999fcef3000),
		UINT64_C(0xfffffffffffff000), UINT64_C(0xfffffffffffff7ff), UINT64_MAX,
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(number); i++) {
		uint64_t random = state_before(number[i]), again = random;
		double want = floor(gap_by_libm(number[i], 1e15)) + 1;

		assert_true(random_next(&again) == number[i]);
		if (fabs((double)random_exponential(&random, UINT64_C(1000000000000000)) - want) >
		    1 + want * 1e-9)
			fail_msg("number %zu", i);
	}
}

static void a_gap_is_never_zero(void **state)
{
	uint64_t random = state_before(UINT64_MAX);

	(void)state;
	assert_int_equal(random_exponential(&random, 1u << 19), 1);
	for (int i = 0; i < 100000; i++)
		assert_int_not_equal(random_exponential(&random, 2), 0);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A whole number k is drawn where the real one lies in [k - 1, k): so P(gap <= k) = 1 - exp(-k /
 * mean) exactly.  Fails by chance once in 1e11 runs (odds.h). */
static void gaps_are_distributed_exponentially(void **state)
{
	static uint64_t gap[DRAWS];
	static const uint64_t means[] = { 1, 2, 512, 4096, 524288, UINT64_C(1) << 40 };
	uint64_t seed = odds_seed(), random = random_seed(seed);
	double most = odds_of_distribution(DRAWS);

	(void)state;
	for (size_t m = 0; m < COUNT_OF(means); m++) {
		for (int i = 0; i < DRAWS; i++)
			gap[i] = random_exponential(&random, means[m]);
		qsort(gap, DRAWS, sizeof(gap[0]), by_size);
		for (int i = 0; i < DRAWS; i++) {
			double is = (i + 1.0) / DRAWS;
			double should = -expm1(-(double)gap[i] / (double)means[m]);

			/* Of equal ones, the last says how many there are. */
			if ((i + 1 == DRAWS || gap[i + 1] != gap[i]) && fabs(is - should) > most)
				fail_msg("seed %#llx mean %llu: at gap %llu %.5f, not %.5f",
					 (unsigned long long)seed, (unsigned long long)means[m],
					 (unsigned long long)gap[i], is, should);
		}
	}
}

/* The mean of whole numbers is 1 / (1 - exp(-1 / mean)), their variance not more than mean^2; no
 * draw is over 36.8 means.  Fails by chance once in 1e11 runs (odds.h). */
static void the_mean_of_gaps_is_the_rate(void **state)
{
	static const uint64_t means[] = { 1, 16, 4096, 524288 };
	uint64_t seed = odds_seed(), random = random_seed(seed);

	(void)state;
	for (size_t m = 0; m < COUNT_OF(means); m++) {
		double mean = (double)means[m], sum = 0, n = 1000000;
		double most = odds_of_sum(n * mean * mean, 36.8 * mean);

		for (int i = 0; i < (int)n; i++)
			sum += (double)random_exponential(&random, means[m]);
		if (fabs(sum - n / -expm1(-1 / mean)) > most)
			fail_msg("seed %#llx mean %g: %g", (unsigned long long)seed, mean, sum / n);
	}
}

/* --- weights --------------------------------------------------------------------------------- */

static void check_weight(uint64_t size, uint64_t rate)
{
	double want = RANDOM_WEIGHT_ONE / -expm1(-(double)size / (double)rate);
	double got = (double)random_weight(size, rate);

	/* Half a unit is the rounding to whole ones. */
	if (fabs(got - want) > 0.5 + 1e-6 + want * 1e-9)
		fail_msg("size %llu rate %llu: %.1f, not %.1f", (unsigned long long)size,
			 (unsigned long long)rate, got, want);
}

static void weights_are_libms(void **state)
{
	static const uint64_t rates[] = { 2, 3, 512, 4096, 524288, 1000003, 1u << 30,
					  UINT64_C(1) << 40 };
	uint64_t seed = odds_seed(), random = random_seed(seed);

	(void)state;
	for (size_t r = 0; r < COUNT_OF(rates); r++) {
		for (uint64_t size = 1; size < 5000; size++)
			check_weight(size, rates[r]);
		for (unsigned bit = 0; bit <= 30; bit++)
			for (int off = -1; off <= 1; off++)
				check_weight((UINT64_C(1) << bit) + (uint64_t)off + (bit == 0),
					     rates[r]);
		for (int i = 0; i < 20000; i++)
			check_weight(1 + (random_next(&random) & 0x3fffffff) % (1u << i % 30 << 1),
				     rates[r]);
	}
}

static void at_rate_one_and_for_huge_sizes_a_sample_is_one_object(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 100, 1u << 30, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_int_equal(random_weight(sizes[i], 1), RANDOM_WEIGHT_ONE);
		assert_int_equal(random_weight(sizes[i], 0), RANDOM_WEIGHT_ONE);
	}
	assert_int_equal(random_weight(UINT64_MAX, 2), RANDOM_WEIGHT_ONE);
	assert_int_equal(random_weight(UINT64_MAX, UINT64_C(1) << 40), RANDOM_WEIGHT_ONE);
	assert_int_equal(random_weight(100 << 19, 1 << 19), RANDOM_WEIGHT_ONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_numbers_are_those_of_xorshift64star),
		cmocka_unit_test(no_seed_is_zero),
		cmocka_unit_test(gaps_are_libms_to_1e_9),
		cmocka_unit_test(gaps_of_extreme_numbers_are_libms),
		cmocka_unit_test(a_gap_is_never_zero),
		cmocka_unit_test(gaps_are_distributed_exponentially),
		cmocka_unit_test(the_mean_of_gaps_is_the_rate),
		cmocka_unit_test(weights_are_libms),
		cmocka_unit_test(at_rate_one_and_for_huge_sizes_a_sample_is_one_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
