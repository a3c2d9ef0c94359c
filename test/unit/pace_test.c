/* Which events are taken: all of the seldom ones, few of the others, and each sum has the right
 * mean.
 *
 * That a weight or a rate follows from what was taken before makes the sums martingales; Bernstein's
 * bound holds for these too (Freedman 1975). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/odds.h"
#include "sampler/compiler.h"
#include "sampler/pace.h"
#include "sampler/random.h"

#define SECOND 1000000u         /* us: what the pace calls one, about */

static uint64_t seed;
static struct crowd all;         /* no other thread */

static int begin(void **state)
{
	(void)state;
	memset(&all, 0, sizeof(all));
	seed = random_seed(odds_seed());
	print_message("seed %llx\n", (unsigned long long)seed);
	return 0;
}

/* By an exact clock. */
static uint32_t take_or_leave(struct self_pace *p, uint32_t now)
{
	uint32_t weight = pace_choose(p, &all, now, 0, &seed);

	if (weight != 0)
		pace_chosen(p, &all, now);
	return weight;
}

/* --- choosing -------------------------------------------------------------------------------- */

static void all_seldom_events_are_chosen(void **state)
{
	struct self_pace p = { 0 };
	uint32_t now = 77;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		assert_int_equal(take_or_leave(&p, now), 1);
		now += SECOND / 1000 + i % 100; /* a thousand a second */
	}
}

/* Events every gap us, for so many seconds: how many are chosen, and whether their weights say how
 * many there were. */
static unsigned choose(struct self_pace *p, uint32_t *now, double gap, double seconds)
{
	double sum = 0, variance = 0, largest = 1, at = 0;
	unsigned chosen = 0, n;

	for (n = 0; at < seconds * SECOND; n++, at += gap) {
		double weight = (double)(UINT64_C(1) << p->shift), is;

		is = (double)take_or_leave(p, *now + (uint32_t)at);
		assert_true(is == 0 || is == weight || is == 1);
		chosen += is != 0;
		sum += is - 1;
		variance += weight - 1;
		if (weight > largest)
			largest = weight;
	}
	*now += (uint32_t)at;
	if (fabs(sum) > odds_of_sum(variance, largest))
		fail_msg("%u events every %g us weigh %.0f more or less", n, gap, sum);
	return chosen;
}

static void weights_add_up_whatever_the_pace(void **state)
{
	static const double gaps[] = { 0.05, 0.3, 2, 10, 60, 300, 2000, 5, 0.1, 100 };

	(void)state;
	for (unsigned turn = 0; turn < 3; turn++) {
		struct self_pace p = { 0 };
		uint32_t now = UINT32_MAX - SECOND;     /* it goes round */

		for (size_t i = 0; i < COUNT_OF(gaps); i++)
			choose(&p, &now, gaps[i], 0.3);
	}
}

static void of_many_a_few_thousand_a_second_are_chosen(void **state)
{
	static const double gaps[] = { 0.2, 1, 5, 20, 100 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(gaps); i++) {
		struct self_pace p = { 0 };
		uint32_t now = 0;
		unsigned n;

		choose(&p, &now, gaps[i], 0.5);
		n = choose(&p, &now, gaps[i], 2);
		/* 16 in 8192 us are the most, in 65536 the least; within a factor of two, the
		 * step.  Of those who come every 0.2 us even 1 / 1024 are five times as many. */
		assert_in_range(n, 2 * 122, gaps[i] < 1 ? 12000 : 2 * 2 * 1953);
	}
}

static void a_quiet_time_brings_all_back(void **state)
{
	struct self_pace p = { 0 };
	uint32_t now = 0;

	(void)state;
	choose(&p, &now, 1, 0.5);
	assert_true(p.shift >= 7);
	now += 8 * PACE_QUIET;
	assert_int_equal(take_or_leave(&p, now), 1);
	/* A short one brings some. */
	choose(&p, &now, 1, 0.5);
	p.shift = 8;
	p.last = now;
	take_or_leave(&p, now + PACE_QUIET);
	assert_int_equal(p.shift, 6);
}

/* CONFIG_HZ_100: nobody is quiet because the clock has made a step, and a quiet time is seen. */
static void a_clock_that_goes_in_steps(void **state)
{
	enum { STEP = 9765 };
	struct self_pace p = { 0 };
	uint32_t now = 1;

	(void)state;
	for (; now < 2 * SECOND; now++) {
		uint8_t shift = p.shift;
		uint32_t weight = pace_choose(&p, &all, now - now % STEP, STEP, &seed);

		assert_int_equal(p.shift, shift);
		if (weight != 0)
			pace_chosen(&p, &all, now);
	}
	assert_true(p.shift >= 7);
	now += 8 * PACE_QUIET + 2 * STEP;
	assert_int_equal(pace_choose(&p, &all, now - now % STEP, STEP, &seed), 1);
}

/* Each as dear as twenty: so few are taken that what they cost is as little as what others do, and
 * their weights add up. */
static void what_is_dear_counts_as_several(void **state)
{
	enum { N = 20000, GAP = 1000, DEAR = 20 };
	struct self_pace p = { 0 };
	double sum = 0, variance = 0, most = 1;
	unsigned chosen = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		double weight = (double)(UINT64_C(1) << p.shift), is;

		is = (double)take_or_leave(&p, i * GAP);
		variance += weight - 1;
		most = fmax(most, weight);
		sum += is - 1;
		if (is == 0)
			continue;
		chosen++;
		pace_was_dear(&p, &all, i * GAP, DEAR);
	}
	print_message("%u of %u chosen\n", chosen, N);
	/* 16 in 8192 us at most, within a factor of two, the step: all of them would be 20000. */
	assert_true(chosen * DEAR < 2 * (N * (uint64_t)GAP / 512));
	assert_true(fabs(sum) < odds_of_sum(variance, most));
	/* Cheap ones, and not so many, bring all back. */
	for (uint32_t i = N; i < 2 * N; i += 8)
		take_or_leave(&p, i * GAP);
	assert_int_equal(p.shift, 0);
}

/* All others wait all the time. */
static void who_seldom_waits_is_chosen_in_any_crowd(void **state)
{
	enum { N = 2000 };
	struct self_pace seldom = { .last = 1 };
	unsigned chosen = 0, of_new = 0;

	(void)state;
	for (uint32_t i = 1, now = 1 + PACE_SELDOM; i <= N; i++, now += PACE_SELDOM) {
		struct self_pace new = { 0 }, other = { .last = now - PACE_SELDOM / 2 };

		for (unsigned k = 0; k < 20 * CROWD_TAKEN; k++)
			crowd_took(&all, now, 1, PACE_CHOOSE_MAX);
		assert_int_equal(crowd_shift(&all, now), PACE_CHOOSE_MAX);
		assert_int_equal(take_or_leave(&seldom, now), 1);
		of_new += take_or_leave(&new, now) != 0;
		chosen += take_or_leave(&other, now) != 0;
	}
	/* One in 1024: of 2000 more than 30 by a chance of less than 1 in 10^20. */
	assert_in_range(of_new, 0, 30);
	assert_in_range(chosen, 0, 30);
}

/* Nothing wraps, whatever it was. */
static void what_is_very_dear_keeps_a_few_seconds_quiet(void **state)
{
	struct self_pace p = { 0 };

	(void)state;
	assert_int_equal(take_or_leave(&p, 77), 1);
	for (unsigned i = 0; i < 10; i++)
		pace_was_dear(&p, &all, 77, UINT32_MAX);
	assert_int_not_equal(take_or_leave(&p, 78), 1);
	for (uint32_t i = 1; i <= 2; i++)
		take_or_leave(&p, 77 + i * ((1u << 23) + 20 * PACE_QUIET));
	assert_int_equal(take_or_leave(&p, 77 + 3 * ((1u << 23) + 20 * PACE_QUIET)), 1);
}

/* --- thinning -------------------------------------------------------------------------------- */

static void what_is_as_long_as_the_rate_counts_as_it_is(void **state)
{
	struct pace_amount a = { 5 * RANDOM_WEIGHT_ONE, 1000 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(pace_in_proportion(&a, i + 1, &seed));
		assert_int_equal(a.delay_ns, 1000);
		assert_int_equal(a.contentions, 5 * RANDOM_WEIGHT_ONE);
	}
	a.delay_ns = 0;
	for (unsigned i = 0; i < 1000; i++)
		assert_false(pace_in_proportion(&a, i + 1, &seed));
}

/* Go's rule: one of d ns with probability d / rate, and then for rate / d and rate. */
static void shorter_ones_count_in_proportion(void **state)
{
	static const uint64_t rates[] = { 10000, 3, 1000000007, UINT64_C(3600000000000) };
	enum { N = 200000 };

	(void)state;
	for (size_t r = 0; r < COUNT_OF(rates); r++) {
		double taken = 0, likely = 0;

		for (unsigned i = 0; i < N; i++) {
			uint64_t rate = rates[r], ns = 1 + random_next(&seed) % rate;
			struct pace_amount a = { 3 * RANDOM_WEIGHT_ONE, ns };

			likely += (double)ns / (double)rate;
			if (!pace_in_proportion(&a, rate, &seed))
				continue;
			taken++;
			assert_true(a.delay_ns == rate);
			assert_true(fabs((double)a.contentions * (double)ns / (double)rate /
					 RANDOM_WEIGHT_ONE - 3) < 1e-4);
		}
		assert_true(fabs(taken - likely) < odds_of_sum(N / 4.0, 1));
	}
}

/* Of charges of very different lengths, many a second: both sums are right, most time is in what
 * was taken as it was, and it is not many. */
static void thinned_sums_are_right_and_few(void **state)
{
	struct self_pace p = { 0 };
	double sum[2] = { 0, 0 }, truth[2] = { 0, 0 }, variance[2] = { 0, 0 }, most[2] = { 0, 0 };
	unsigned taken = 0;
	enum { N = 1000000 };

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		uint64_t ns = 1 + random_next(&seed) % (i % 1000 == 0 ? 30000000 : 3000);
		double rate = (double)(UINT64_C(1) << p.shift), d = (double)ns;
		double scale = rate > d ? rate / d : 1;
		struct pace_amount a = { 2 * RANDOM_WEIGHT_ONE, ns };

		truth[0] += 2;
		truth[1] += d;
		variance[0] += 4 * (scale - 1);
		variance[1] += d * d * (scale - 1);
		most[0] = fmax(most[0], 2 * scale);
		most[1] = fmax(most[1], d * scale);
		if (!pace_thin(&p, &all, i * 2, &a, &seed))
			continue;
		taken++;
		sum[0] += (double)a.contentions / RANDOM_WEIGHT_ONE;
		sum[1] += (double)a.delay_ns;
	}
	print_message("%u of %u taken, shift %u\n", taken, N, p.shift);
	assert_true(fabs(sum[0] - truth[0]) < odds_of_sum(variance[0], most[0]));
	assert_true(fabs(sum[1] - truth[1]) < odds_of_sum(variance[1], most[1]));
	/* Two seconds. */
	assert_true(taken < 2 * 4000);
}

static void seldom_charges_are_all_taken_as_they_are(void **state)
{
	struct self_pace p = { 0 };

	(void)state;
	for (uint32_t i = 1; i < 10000; i++) {
		struct pace_amount a = { i, i % 100 + 1 };

		assert_true(pace_thin(&p, &all, i * 1000, &a, &seed));
		assert_true(a.contentions == i && a.delay_ns == i % 100 + 1);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(all_seldom_events_are_chosen),
		TEST(weights_add_up_whatever_the_pace),
		TEST(of_many_a_few_thousand_a_second_are_chosen),
		TEST(a_quiet_time_brings_all_back),
		TEST(a_clock_that_goes_in_steps),
		TEST(what_is_dear_counts_as_several),
		TEST(who_seldom_waits_is_chosen_in_any_crowd),
		TEST(what_is_very_dear_keeps_a_few_seconds_quiet),
		TEST(what_is_as_long_as_the_rate_counts_as_it_is),
		TEST(shorter_ones_count_in_proportion),
		TEST(thinned_sums_are_right_and_few),
		TEST(seldom_charges_are_all_taken_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
