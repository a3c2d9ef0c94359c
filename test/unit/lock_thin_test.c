/* Which releases are charged: each sum keeps its mean, whatever the shift, and the cell knows when a
 * second is to come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "fake/odds.h"
#include "sampler/compiler.h"
#include "sampler/lock_thin.h"
#include "sampler/random.h"

static uint64_t seed;
static _Atomic uint16_t cell;
static struct lock_thin thin;

static int begin(void **state)
{
	(void)state;
	seed = random_seed(odds_seed());
	print_message("seed %llx\n", (unsigned long long)seed);
	cell = 0;
	memset(&thin, 0, sizeof(thin));
	return 0;
}

static void set_shift(unsigned shift)
{
	cell = (uint16_t)((cell & (LOCK_CELL_WAITS | LOCK_CELL_BETWEEN)) |
			  shift << LOCK_CELL_SHIFT_AT);
}

static unsigned between(void)
{
	return (cell & LOCK_CELL_BETWEEN) / LOCK_CELL_ONE;
}

static void at_shift_0_every_release_is_charged_once(void **state)
{
	uint32_t times;

	(void)state;
	lock_thin_begin(&thin, &cell, random_next(&seed));
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t draw = random_next(&seed);

		assert_true(lock_thin_may_take(cell, draw));
		assert_true(lock_thin_take(&thin, &cell, draw, &times));
		assert_int_equal(times, 1);
	}
}

/* Holders of very different times: of each kind what is charged is what it was, in the mean, though
 * the shift changes all the time and waiters come and go. */
static void sums_keep_their_mean(void **state)
{
	enum { N = 400000, KINDS = 3 };
	static const double lengths[KINDS] = { 1, 30, 1000 };
	double sum[KINDS] = { 0 }, truth[KINDS] = { 0 }, variance[KINDS] = { 0 }, most[KINDS] = { 0 };
	bool anew = true;       /* all waiters began at the release before */

	(void)state;
	lock_thin_begin(&thin, &cell, random_next(&seed));
	for (unsigned i = 0; i < N; i++) {
		unsigned kind = i % 100 == 0 ? 2 : i % 10 == 0 ? 1 : 0;
		uint64_t draw = random_next(&seed);
		unsigned shift = LOCK_CELL_SHIFT(cell);
		uint32_t times = 0;
		double weight = LOCK_THIN_OF(LOCK_THIN_MAX);

		if (random_next(&seed) >> 32 & 1)
			assert_int_equal(lock_thin_may_take(cell, draw),
					 thin.times != 0 || lock_thin_chooses(shift, draw));
		truth[kind] += lengths[kind];
		/* Of the draw before; at most as if it had been the greatest. */
		variance[kind] += lengths[kind] * lengths[kind] * (weight - 1);
		most[kind] = weight * lengths[kind];
		if (lock_thin_may_take(cell, draw) && lock_thin_take(&thin, &cell, draw, &times)) {
			assert_true(times == 0 || anew);
			sum[kind] += times * lengths[kind];
			anew = true;
		} else {
			anew = false;
		}
		assert_int_equal(between(), thin.times != 0);
		if (i % 1000 == 999)
			set_shift((unsigned)(random_next(&seed) >> 32) % (LOCK_THIN_MAX + 1));
		if (i % 777 == 776) {
			lock_thin_begin(&thin, &cell, random_next(&seed));
			anew = true;
		}
	}
	for (unsigned k = 0; k < KINDS; k++)
		assert_true(fabs(sum[k] - truth[k]) < odds_of_sum(variance[k], most[k]));
}

/* One in 4^shift is a first, and then there is one second. */
static void few_are_taken(void **state)
{
	enum { N = 640000 };

	(void)state;
	for (unsigned shift = 1; shift <= LOCK_THIN_MAX; shift++) {
		double expected = (double)N / LOCK_THIN_OF(shift), firsts = 0;
		uint32_t times;

		set_shift(shift);
		for (unsigned i = 0; i < N; i++) {
			uint64_t draw = random_next(&seed);
			bool is_second = thin.times != 0, first = lock_thin_chooses(shift, draw);

			assert_int_equal(lock_thin_take(&thin, &cell, draw, &times),
					 is_second || first);
			if (is_second)
				assert_int_equal(times, LOCK_THIN_OF(i == 0 ? shift - 1 : shift));
			else
				assert_int_equal(times, 0);
			firsts += first;
		}
		assert_true(fabs(firsts - expected) < odds_of_sum(expected, 1));
		lock_thin_begin(&thin, &cell, 0);       /* of this shift, for the next one */
	}
}

/* --- the shift ------------------------------------------------------------------------------- */

/* So many charges, gap ns apart. */
static void take(uint64_t *now, unsigned n, uint64_t gap)
{
	for (unsigned i = 0; i < n; i++)
		lock_thin_taken(&thin, &cell, *now += gap);
}

static void many_charges_make_it_greater_and_few_less(void **state)
{
	uint64_t now = UINT64_C(1) << 50;

	(void)state;
	cell = 0x0305;
	take(&now, 10 * LOCK_THIN_TAKEN, 104000);
	assert_int_equal(LOCK_CELL_SHIFT(cell), 0);
	take(&now, 2 * LOCK_THIN_TAKEN, 96000);
	assert_in_range(LOCK_CELL_SHIFT(cell), 1, 2);
	take(&now, 20 * LOCK_THIN_TAKEN, 100);
	assert_int_equal(LOCK_CELL_SHIFT(cell), LOCK_THIN_MAX);
	take(&now, 20 * LOCK_THIN_TAKEN, 760000);
	assert_int_equal(LOCK_CELL_SHIFT(cell), LOCK_THIN_MAX);
	take(&now, 3 * LOCK_THIN_TAKEN, 840000);
	assert_in_range(LOCK_CELL_SHIFT(cell), LOCK_THIN_MAX - 3, LOCK_THIN_MAX - 2);
	take(&now, 20 * LOCK_THIN_TAKEN, 840000);
	assert_int_equal(cell, 0x0305);
}

/* --- the cell -------------------------------------------------------------------------------- */

static void who_waits_is_counted_to_255_and_then_for_ever(void **state)
{
	(void)state;
	set_shift(3);
	for (unsigned i = 1; i <= 254; i++) {
		lock_thin_come(&cell);
		assert_int_equal(cell & LOCK_CELL_WAITS, i);
	}
	for (unsigned i = 254; i > 0; i--) {
		lock_thin_go(&cell);
		assert_int_equal(cell & LOCK_CELL_WAITS, i - 1);
	}
	lock_thin_go(&cell);
	assert_int_equal(cell, 3 << LOCK_CELL_SHIFT_AT);
	for (unsigned i = 0; i < 300; i++)
		lock_thin_come(&cell);
	lock_thin_go(&cell);
	assert_int_equal(cell & LOCK_CELL_WAITS, 255);
}

/* Several locks have one cell: a release of any of them must look as long as one is between. */
static void a_cell_counts_who_is_between(void **state)
{
	static struct lock_thin other[40];
	uint32_t times;

	(void)state;
	set_shift(2);
	lock_thin_come(&cell);
	for (unsigned i = 0; i < 10; i++) {
		lock_thin_begin(&other[i], &cell, 0);
		assert_int_equal(between(), i + 1);
		lock_thin_begin(&other[i], &cell, 0);   /* the waiters before have gone */
		assert_int_equal(between(), i + 1);
	}
	for (unsigned i = 10; i > 0; i--) {
		assert_true(lock_thin_may_take(cell, ~UINT64_C(0)));
		assert_true(lock_thin_take(&other[i - 1], &cell, ~UINT64_C(0), &times));
		assert_int_equal(between(), i - 1);
	}
	assert_false(lock_thin_may_take(cell, ~UINT64_C(0)));
	for (unsigned i = 0; i < COUNT_OF(other); i++)
		lock_thin_begin(&other[i], &cell, 0);
	assert_int_equal(between(), 31);
	lock_thin_go(&cell);
	assert_int_equal(cell, 2 << LOCK_CELL_SHIFT_AT);        /* nobody waits for any of them */
	/* What was left in a slot is counted when the next one comes. */
	lock_thin_begin(&other[0], &cell, 0);
	assert_int_equal(between(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(at_shift_0_every_release_is_charged_once),
		TEST(sums_keep_their_mean),
		TEST(few_are_taken),
		TEST(many_charges_make_it_greater_and_few_less),
		TEST(who_waits_is_counted_to_255_and_then_for_ever),
		TEST(a_cell_counts_who_is_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
