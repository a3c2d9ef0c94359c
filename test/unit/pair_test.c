#include "sampler/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake/crowd.h"
#include "fake/single_step.h"

#define WRITERS 3
#define SECONDS 0.5

static _Alignas(PAIR_ALIGN) _Atomic(uint64_t) pair[2];
static double end_s;
static _Atomic unsigned writing;
static _Atomic uint64_t added;

static int begin(void **state)
{
	(void)state;
	pair[0] = pair[1] = 0;
	return 0;
}

static void assert_is(uint64_t first, uint64_t second)
{
	uint64_t is[2] = { 77, 78 };

	pair_read(pair, is);
	assert_true(is[0] == first && is[1] == second);
}

static void each_half_adds_up(void **state)
{
	(void)state;
	assert_is(0, 0);
	pair_add(pair, 1, 0);
	assert_is(1, 0);
	pair_add(pair, 0, 5);
	assert_is(1, 5);
	pair_add(pair, UINT64_C(1) << 40, UINT64_C(3) << 62);
	assert_is((UINT64_C(1) << 40) + 1, (UINT64_C(3) << 62) + 5);
	/* Nothing of the first goes over to the second. */
	pair_add(pair, UINT64_MAX, 1);
	assert_is(UINT64_C(1) << 40, (UINT64_C(3) << 62) + 6);
}

static void a_swap_says_what_is_there(void **state)
{
	uint64_t was[2] = { 1, 0 }, now[2] = { 7, 8 };

	(void)state;
	pair_add(pair, 1, 2);
	assert_false(pair_swap(pair, was, now));
	assert_true(was[0] == 1 && was[1] == 2);
	assert_is(1, 2);
	assert_true(pair_swap(pair, was, now));
	assert_is(7, 8);
}

/* --- at each instruction ---------------------------------------------------------------------- */

static unsigned wrong, at_step;

static void add(void)
{
	pair_add(pair, 1, 1000);
}

static void look(void)
{
	uint64_t is[2];

	pair_read(pair, is);
	wrong += is[1] != 1000 * is[0];
}

static void at_no_instruction_is_only_half_added(void **state)
{
	unsigned steps;

	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	wrong = 0;
	steps = single_step_through(add, look);
	assert_is(1, 1000);
	assert_in_range(steps, 20, 10000);
	assert_int_equal(wrong, 0);
}

/* As a handler does, or another thread. */
static void add_too(void)
{
	look();
	if (single_step.steps == at_step)
		pair_add(pair, 10, 10000);
}

static void what_comes_in_between_is_not_lost(void **state)
{
	unsigned steps, n = 0;

	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	wrong = 0;
	do {
		at_step = ++n;
		steps = single_step_through(add, add_too);
	} while (steps >= at_step);
	assert_true(n > 20);
	assert_is(11 * n - 10, 1000 * (11 * n - 10));
	assert_int_equal(wrong, 0);
}

/* --- at the same time -------------------------------------------------------------------------- */

static void write_and_read(unsigned who)
{
	uint64_t n = 0, is[2];

	if (who == WRITERS) {
		do {
			pair_read(pair, is);
			CROWD_DEMAND(is[1] == 1000 * is[0]);
		} while (writing > 0);
		return;
	}
	for (; n % 64 != 0 || crowd_now_s() < end_s; n++)
		pair_add(pair, 1, 1000);
	added += n;
	writing--;
}

static void a_crowd_counts_whole_pairs(void **state)
{
	(void)state;
	end_s = crowd_now_s() + SECONDS;
	writing = WRITERS;
	added = 0;
	crowd_run(WRITERS + 1, write_and_read);
	crowd_check();
	assert_is(added, 1000 * added);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_half_adds_up),
		TEST(a_swap_says_what_is_there),
		TEST(at_no_instruction_is_only_half_added),
		TEST(what_comes_in_between_is_not_lost),
		TEST(a_crowd_counts_whole_pairs),
	};

	/* Else nothing of this can be: pair_halves_test.c. */
	if (!pair_can_swap())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
