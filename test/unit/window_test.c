#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/made_arena.h"
#include "httpd/window.h"
#include "sampler/os.h"

static struct made_row *add(uint64_t first, uint64_t last)
{
	struct made_row *r = made_add(GROUND_HEAP, 5, 6, 7);

	r->value[0] = first;
	r->value[SITES_VALUES - 1] = last;
	return r;
}

static void assert_counted(const struct window *w, uint32_t row, int64_t first, int64_t last)
{
	int64_t value[SITES_VALUES];
	struct site_key key;

	assert_true(window_read(w, row, &key, value));
	assert_true(key.stack == 5 && key.size == 6 && key.thread == 7 && key.labels == 0);
	assert_true(value[0] == first && value[SITES_VALUES - 1] == last);
	for (unsigned i = 1; i < SITES_VALUES - 1; i++)
		assert_true(value[i] == 0);
}

static void a_window_from_the_beginning_has_all_there_is(void **state)
{
	struct window w;

	(void)state;
	add(10, 3);
	window_all(&w, &made_ground, GROUND_HEAP);
	assert_counted(&w, 1, 10, 3);
	made.row[GROUND_HEAP][1].value[0] = 15;
	assert_counted(&w, 1, 15, 3);
	assert_null(w.then);
}

static void a_window_has_what_was_counted_since_it_was_opened(void **state)
{
	struct made_row *first = add(10, 3), *second = add(UINT64_MAX - 1, 0);
	struct window w;

	(void)state;
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	assert_counted(&w, 1, 0, 0);
	assert_counted(&w, 2, 0, 0);
	first->value[0] += 5;
	first->value[SITES_VALUES - 1] += 2;
	/* Around the end of the numbers, too. */
	second->value[0] += 7;
	assert_counted(&w, 1, 5, 2);
	assert_counted(&w, 2, 7, 0);
}

static void rows_that_came_later_began_at_zero(void **state)
{
	struct window w;

	(void)state;
	add(10, 3);
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	/* Behind what the window keeps is the memory of others. */
	memset(arena_alloc(&arena, 16384), 0x5a, 16384);
	for (uint32_t row = 2; row < 100; row++) {
		add(row, row + 1);
		assert_counted(&w, row, row, row + 1);
	}
}

static void a_row_that_was_not_ready_began_at_zero(void **state)
{
	struct made_row *r = add(10, 3);
	int64_t value[SITES_VALUES];
	struct site_key key;
	struct window w;

	(void)state;
	r->unpublished = true;
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	assert_false(window_read(&w, 1, &key, value));
	r->unpublished = false;
	assert_counted(&w, 1, 10, 3);
}

static void there_is_no_row_0_and_none_beyond_the_end(void **state)
{
	int64_t value[SITES_VALUES];
	struct site_key key;
	struct window w;

	(void)state;
	add(1, 1);
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	assert_false(window_read(&w, 0, &key, value));
	assert_false(window_read(&w, 2, &key, value));
}

static void windows_do_not_disturb_each_other(void **state)
{
	struct made_row *r = add(100, 0);
	struct window w[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		window_open(&w[i], &arena, &made_ground, GROUND_HEAP);
		r->value[0] += 10;
	}
	assert_counted(&w[0], 1, 30, 0);
	assert_counted(&w[1], 1, 20, 0);
	assert_counted(&w[2], 1, 10, 0);
}

static void each_profile_has_windows_of_its_own(void **state)
{
	struct window cpu, heap;
	struct made_row *r;

	(void)state;
	add(100, 0);
	r = made_add(GROUND_CPU, 5, 6, 7);
	window_open(&cpu, &arena, &made_ground, GROUND_CPU);
	window_open(&heap, &arena, &made_ground, GROUND_HEAP);
	r->value[0] = 4;
	assert_counted(&cpu, 1, 4, 0);
	assert_counted(&heap, 1, 0, 0);
}

static void a_window_knows_when_it_was_opened(void **state)
{
	uint64_t before = os_monotonic_ns(), before_real = os_realtime_ns();
	struct window w;

	(void)state;
	window_open(&w, &arena, &made_ground, GROUND_CPU);
	assert_in_range(w.begin_ns, before, os_monotonic_ns());
	assert_in_range(w.begin_real_ns, before_real, os_realtime_ns());
	before = os_monotonic_ns();
	window_all(&w, &made_ground, GROUND_CPU);
	assert_in_range(w.begin_ns, before, os_monotonic_ns());
}

static void without_memory_a_window_is_from_the_beginning(void **state)
{
	struct window w;

	(void)state;
	add(10, 3);
	map_fail.fail_at = 1;
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	assert_true(arena.failed);
	assert_counted(&w, 1, 10, 3);
}

/* --- while rows are evicted ------------------------------------------------------------------ */

static int64_t sum(const struct window *w)
{
	int64_t value[SITES_VALUES], sum = 0;
	struct site_key key;

	for (uint32_t row = 1; row < made_ground.end(w->profile); row++)
		if (window_read(w, row, &key, value))
			sum += value[0];
	return sum;
}

/* Three windows from different moments, over a row that was before all of them, one that came in
 * between and one of both times. */
static void what_is_evicted_stays_in_the_sum_of_each_window(void **state)
{
	static const uint32_t order[][3] = { { 3, 4, 5 }, { 5, 3, 4 }, { 4, 5, 3 } };

	(void)state;
	for (size_t o = 0; o < COUNT_OF(order); o++) {
		struct made_row *row[6];
		struct window w[3];

		begin(NULL);
		for (int i = 1; i < 5; i++)
			row[i] = add(i == 3 ? 1000 : i == 4 ? 70 : 0, 0);
		window_all(&w[0], &made_ground, GROUND_HEAP);
		window_open(&w[1], &arena, &made_ground, GROUND_HEAP);
		row[4]->value[0] += 5;
		row[5] = add(300, 0);
		window_open(&w[2], &arena, &made_ground, GROUND_HEAP);
		row[5]->value[0] += 30;
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(sum(&w[0]), 1405);
			assert_int_equal(sum(&w[1]), 335);
			assert_int_equal(sum(&w[2]), 30);
			made.evicts[GROUND_HEAP] = order[o][i];
			window_reclaim(&made_ground);
		}
		/* The row is another site's, and that began at 0. */
		row[3]->unpublished = false;
		row[3]->value[0] = 2;
		assert_int_equal(sum(&w[0]), 1407);
		assert_int_equal(sum(&w[1]), 337);
		assert_int_equal(sum(&w[2]), 32);
		for (int i = 0; i < 3; i++)
			window_close(&w[i]);
		end(NULL);
	}
}

/* In use: value 0 less the last one.  What was in use at the beginning is in use at the end. */
static void what_is_in_use_may_be_absolute(void **state)
{
	struct made_row *rest = NULL, *one, *two;
	int64_t value[SITES_VALUES], sum = 0, in_use = 0;
	struct site_key key;
	struct window w;

	(void)state;
	while (made.rows[GROUND_HEAP] < GENERATIONS_EVICTED)
		rest = add(0, 0);
	one = add(10, 3);
	two = add(100, 100);
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	window_absolute(&w, 0, SITES_VALUES - 1, 1);
	assert_counted(&w, GENERATIONS_EVICTED + 1, 0, 3 - 10);
	one->value[0] += 5;
	one->value[SITES_VALUES - 1] += 4;
	assert_counted(&w, GENERATIONS_EVICTED + 1, 5, 5 - (15 - 7));
	two->value[0] += 1;
	two->value[SITES_VALUES - 1] += 1;
	made.evicts[GROUND_HEAP] = GENERATIONS_EVICTED + 2;
	(void)window_reclaim(&made_ground);
	assert_int_equal(rest->value[0], 101);
	for (uint32_t row = 1; row < made_end(GROUND_HEAP); row++) {
		if (!window_read(&w, row, &key, value))
			continue;
		sum += value[0];
		in_use += value[0] - value[SITES_VALUES - 1];
	}
	assert_int_equal(sum, 5 + 1);
	assert_int_equal(in_use, 15 - 7);
	window_close(&w);
}

static void a_reading_may_be_put_aside(void **state)
{
	struct made_row *one = add(10, 3);
	struct window w;

	(void)state;
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	one->value[0] = 12;
	assert_true(window_keep_now(&w, &arena));
	one->value[0] = 30;
	add(7, 7);
	assert_counted(&w, 1, 2, 0);
	assert_counted(&w, 2, 0, 0);
	assert_int_equal(w.now_end, 2);
	window_close(&w);
}

static void nothing_is_evicted_while_somebody_reads(void **state)
{
	struct window w[2], cpu;

	(void)state;
	for (int i = 0; i < 4; i++) {
		add(1, 0);
		made_add(GROUND_CPU, 5, 6, 7);
	}
	for (int i = 0; i < 2; i++)
		window_open(&w[i], &arena, &made_ground, GROUND_HEAP);
	window_open(&cpu, &arena, &made_ground, GROUND_CPU);
	window_begin_reading(&w[0]);
	made.evicts[GROUND_HEAP] = made.evicts[GROUND_CPU] = 3;
	assert_int_equal(window_reclaim(&made_ground), 1000);
	assert_int_equal(made.evicts[GROUND_HEAP], 3);
	/* A reading of the one does not hold up the other. */
	assert_int_equal(made.evicts[GROUND_CPU], 0);
	window_close(&w[1]);
	window_reclaim(&made_ground);
	assert_int_equal(made.evicts[GROUND_HEAP], 3);
	window_close(&w[0]);
	window_close(&w[0]);
	window_reclaim(&made_ground);
	assert_int_equal(made.evicts[GROUND_HEAP], 0);
}

static void the_memory_of_a_closed_window_is_left_alone(void **state)
{
	struct window w[3];

	(void)state;
	for (int i = 0; i < 4; i++)
		add(10, 0);
	for (int i = 0; i < 3; i++)
		window_open(&w[i], &arena, &made_ground, GROUND_HEAP);
	window_close(&w[1]);
	w[1].then = (uint64_t *)(uintptr_t)8;   /* as good as gone */
	made.evicts[GROUND_HEAP] = 3;
	window_reclaim(&made_ground);
	assert_int_equal(sum(&w[0]), 0);
	assert_int_equal(sum(&w[2]), 0);
	window_close(&w[0]);
	window_close(&w[2]);
}

/* As they are in conn.c's order: a job's sleep, in a unit test, does not wait. */
static void who_comes_later_stands_back_but_not_for_ever(void **state)
{
	struct window w[2];

	(void)state;
	for (int i = 0; i < 4; i++)
		add(10, 0);
	for (int i = 0; i < 2; i++)
		window_open(&w[i], &arena, &made_ground, GROUND_HEAP);
	window_begin_reading(&w[0]);
	made.evicts[GROUND_HEAP] = 3;
	window_reclaim(&made_ground);
	window_begin_reading(&w[1]);
	assert_true(w[1].is_read);
}

/* The CPU is sampled as often as the most demanding of those that are open wants it. */
static void the_greatest_rate_of_all_that_are_open_is_asked_for(void **state)
{
	struct window w[3];

	(void)state;
	window_open(&w[0], &arena, &made_ground, GROUND_CPU);
	assert_int_equal(made.raises, 0);
	window_open_cpu(&w[1], &arena, &made_ground, 250);
	assert_int_equal(made.raised_hz, 250);
	window_open_cpu(&w[2], &arena, &made_ground, 1000);
	assert_int_equal(made.raised_hz, 1000);
	window_close(&w[1]);
	window_close(&w[0]);
	assert_int_equal(made.raised_hz, 1000);
	assert_int_equal(made.raises, 2);       /* nothing is told that has not changed */
	window_open_cpu(&w[1], &arena, &made_ground, 50);
	window_close(&w[2]);
	assert_int_equal(made.raised_hz, 50);
	window_close(&w[1]);
	assert_int_equal(made.raised_hz, 0);
	window_close(&w[1]);
	assert_int_equal(made.raises, 4);
}

/* The wall clock goes as fast as the fastest of those that are open and not being read. */
static void threads_are_looked_at_for_the_windows_that_are_open(void **state)
{
	struct window w[3];

	(void)state;
	assert_true(window_wall(&made_ground) == UINT64_MAX);
	window_open(&w[0], &arena, &made_ground, GROUND_CPU);
	window_open_wall(&w[1], &arena, &made_ground, 99);
	assert_int_equal(made.settles, 2);
	window_open_wall(&w[2], &arena, &made_ground, 500);
	assert_true(window_wall(&made_ground) == 1000);
	assert_int_equal(made.wall_hz, 500);
	/* What runs is met by the ticks of the CPU profile. */
	assert_int_equal(made.raised_hz, 500);
	window_begin_reading(&w[2]);
	assert_int_equal(made.settles, 6);
	(void)window_wall(&made_ground);
	assert_int_equal(made.wall_hz, 99);
	window_begin_reading(&w[2]);
	assert_int_equal(made.settles, 6);      /* that is done once */
	window_close(&w[1]);
	assert_true(window_wall(&made_ground) == UINT64_MAX);
	assert_int_equal(made.wall_hz, 0);
	window_close(&w[2]);
	window_close(&w[0]);
	assert_int_equal(made.raised_hz, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_window_from_the_beginning_has_all_there_is),
		TEST(a_window_has_what_was_counted_since_it_was_opened),
		TEST(rows_that_came_later_began_at_zero),
		TEST(a_row_that_was_not_ready_began_at_zero),
		TEST(there_is_no_row_0_and_none_beyond_the_end),
		TEST(windows_do_not_disturb_each_other),
		TEST(each_profile_has_windows_of_its_own),
		TEST(a_window_knows_when_it_was_opened),
		TEST(without_memory_a_window_is_from_the_beginning),
		TEST(what_is_evicted_stays_in_the_sum_of_each_window),
		TEST(what_is_in_use_may_be_absolute),
		TEST(a_reading_may_be_put_aside),
		TEST(nothing_is_evicted_while_somebody_reads),
		TEST(the_memory_of_a_closed_window_is_left_alone),
		TEST(who_comes_later_stands_back_but_not_for_ever),
		TEST(threads_are_looked_at_for_the_windows_that_are_open),
		TEST(the_greatest_rate_of_all_that_are_open_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
