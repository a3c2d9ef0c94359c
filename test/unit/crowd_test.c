/* The pace of all threads together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sampler/crowd.h"

#define MAX 10

static struct crowd all;
static uint32_t now;

static int begin(void **state)
{
	(void)state;
	all.state = 0;
	now = UINT32_MAX - CROWD_FEW;   /* it goes round */
	return 0;
}

static void take(unsigned n, uint32_t gap)
{
	for (unsigned i = 0; i < n; i++)
		crowd_took(&all, now += gap, 1, MAX);
}

static void nothing_is_held_up_at_the_pace_of_eight_threads(void **state)
{
	(void)state;
	take(100 * CROWD_TAKEN, CROWD_MANY / CROWD_TAKEN + 1);
	assert_int_equal(crowd_shift(&all, now), 0);
}

static void many_raise_it_and_few_lower_it(void **state)
{
	(void)state;
	take(3 * CROWD_TAKEN, CROWD_MANY / CROWD_TAKEN - 4);
	assert_in_range(crowd_shift(&all, now), 1, 3);
	take(3 * CROWD_TAKEN, 1);       /* that is very many */
	assert_in_range(crowd_shift(&all, now), 7, MAX);
	take(20 * CROWD_TAKEN, 1);
	assert_int_equal(crowd_shift(&all, now), MAX);
	take(20 * CROWD_TAKEN, 2 * CROWD_MANY / CROWD_TAKEN);
	assert_int_equal(crowd_shift(&all, now), MAX);
	take(5 * CROWD_TAKEN, 9 * CROWD_FEW / CROWD_TAKEN / 8);
	assert_in_range(crowd_shift(&all, now), MAX - 5, MAX - 3);
	take(20 * CROWD_TAKEN, 9 * CROWD_FEW / CROWD_TAKEN / 8);
	assert_int_equal(crowd_shift(&all, now), 0);
}

static void a_quiet_time_lowers_it(void **state)
{
	(void)state;
	take(20 * CROWD_TAKEN, 1);
	assert_int_equal(crowd_shift(&all, now + 2 * CROWD_FEW - CROWD_TAKEN), MAX);
	assert_int_equal(crowd_shift(&all, now + 3 * 2 * CROWD_FEW), MAX - 3);
	assert_int_equal(crowd_shift(&all, now + MAX * 2 * CROWD_FEW), 0);
	/* And that stays, when one is taken. */
	now += 3 * 2 * CROWD_FEW;
	take(CROWD_TAKEN, 1);
	assert_int_equal(crowd_shift(&all, now), MAX - 3);
}

/* Between processors a clock may go back by a little. */
static void a_moment_ago_is_no_quiet_time(void **state)
{
	(void)state;
	take(20 * CROWD_TAKEN, 1);
	assert_int_equal(crowd_shift(&all, now - 3 * CROWD_TAKEN), MAX);
}

static void what_is_dear_counts_as_several(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX + 2; i++) {
		now += CROWD_MANY / 4;
		crowd_took(&all, now, CROWD_TAKEN + 1, MAX);
	}
	assert_int_equal(crowd_shift(&all, now), MAX);
	crowd_took(&all, now, UINT32_MAX, MAX);
	assert_int_equal(crowd_shift(&all, now), MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_held_up_at_the_pace_of_eight_threads),
		TEST(many_raise_it_and_few_lower_it),
		TEST(a_quiet_time_lowers_it),
		TEST(a_moment_ago_is_no_quiet_time),
		TEST(what_is_dear_counts_as_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
