/* The blocks that live now, by age: the walk, and the window that is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/made_arena.h"
#include "httpd/job.h"
#include "httpd/live.h"
#include "httpd/window.h"
#include "sampler/os.h"
#include "sampler/random.h"

#define SECOND 1000000000ull
#define ONE    ((uint64_t)RANDOM_WEIGHT_ONE)

/* Half a second more: so that the time that a test takes is no matter.  No age is above 40 s: a machine
   may have been started a minute ago. */
static uint64_t ago(uint64_t seconds)
{
	return os_monotonic_ns() - seconds * SECOND - SECOND / 2;
}

struct noted {
	struct live_walk walk;
	unsigned         count;
	uint64_t         size[16], age_s[16];
};

static void note(struct live_walk *walk, const struct heap_block *block, uint64_t age_s)
{
	struct noted *n = (struct noted *)walk;

	assert_true(n->count < 16);
	n->size[n->count] = block->size;
	n->age_s[n->count++] = age_s;
}

static struct noted walk(uint64_t min_age_s)
{
	struct noted n = { .walk = { note, min_age_s } };

	live_each(&made_ground, &n.walk);
	return n;
}

static void blocks_are_met_with_their_ages(void **state)
{
	struct noted n;

	(void)state;
	made_live(1, 100, ONE, ago(3));
	made_live(0, 0, 0, 0);          /* a free cell */
	made_live(2, 200, ONE, ago(0));
	made_live(1, 300, ONE, ago(40));
	n = walk(0);
	assert_int_equal(n.count, 3);
	assert_true(n.size[0] == 100 && n.age_s[0] == 3);
	assert_true(n.size[1] == 200 && n.age_s[1] == 0);
	assert_true(n.size[2] == 300 && n.age_s[2] == 40);
}

static void younger_ones_are_left_out(void **state)
{
	struct noted n;

	(void)state;
	for (uint64_t age = 0; age < 10; age++)
		made_live(1, age, ONE, ago(age));
	n = walk(7);
	assert_int_equal(n.count, 3);
	assert_true(n.age_s[0] == 7 && n.age_s[1] == 8 && n.age_s[2] == 9);
	assert_int_equal(walk(9).count, 1);
	assert_int_equal(walk(10).count, 0);
	assert_int_equal(walk(UINT64_MAX).count, 0);
}

/* The latest moment at which it can have been born may be still to come. */
static void one_that_was_born_just_now_has_no_age(void **state)
{
	struct noted n;

	(void)state;
	made_live(1, 5, ONE, os_monotonic_ns() + SECOND);
	n = walk(0);
	assert_int_equal(n.count, 1);
	assert_true(n.age_s[0] == 0);
	assert_int_equal(walk(1).count, 0);
}

/* --- window_old ------------------------------------------------------------------------------ */

static void add_row(uint32_t stack)
{
	struct made_row *r = made_add(GROUND_HEAP, stack, 64, 3);

	/* What was counted is no matter. */
	for (unsigned i = 0; i < SITES_VALUES; i++)
		r->value[i] = 10000 + i;
}

static void assert_row(const struct window *w, uint32_t row, int64_t objects, int64_t bytes,
		       int64_t raw, int64_t raw_bytes)
{
	int64_t value[SITES_VALUES];
	struct site_key key;

	assert_true(window_read(w, row, &key, value));
	assert_true(key.stack == row + 10 && key.size == 64 && key.thread == 3);
	assert_true(value[HEAP_ALLOC_OBJECTS] == objects && value[HEAP_ALLOC_BYTES] == bytes);
	assert_true(value[HEAP_ALLOC_RAW] == raw && value[HEAP_ALLOC_RAW_BYTES] == raw_bytes);
	for (unsigned i = HEAP_FREE_OBJECTS; i < SITES_VALUES; i++)
		assert_true(value[i] == 0);
}

static void a_window_of_old_blocks_has_their_sums_alone(void **state)
{
	struct window w;

	(void)state;
	for (uint32_t row = 1; row <= 3; row++)
		add_row(row + 10);
	made_live(1, 60, 2 * ONE, ago(5));
	made_live(2, 64, ONE, ago(4));          /* too young */
	made_live(1, 50, 3 * ONE / 2, ago(40));
	made_live(3, 64, ONE, ago(6));
	made_live(4, 64, ONE, ago(6));          /* on a row that is not there */
	window_old(&w, &arena, &made_ground, 5);
	assert_row(&w, 1, 7 * ONE / 2, 120 + 75, 2, 110);
	assert_row(&w, 2, 0, 0, 0, 0);
	assert_row(&w, 3, ONE, 64, 1, 64);
	/* Later rows are of younger blocks. */
	add_row(14);
	assert_row(&w, 4, 0, 0, 0, 0);
	assert_true(w.is_read && w.is_open);
	window_close(&w);
}

static void make_and_read(void *arg)
{
	struct window *w = arg;

	window_old(w, &arena, &made_ground, 5);
	made.evicts[GROUND_HEAP] = 1;
	(void)window_reclaim(&made_ground);
	window_begin_reading(w);
}

/* The ground waits for it to end: so it must not wait for the ground. */
static void it_is_read_from_when_it_is_made(void **state)
{
	struct window w;
	struct job *job = job_new(make_and_read, &w);
	bool done;

	(void)state;
	add_row(11);
	do
		done = job_step(job);
	while (!done && job_wake_ns(job) == 0);
	assert_true(done);
	job_free(job);
	assert_row(&w, 1, 0, 0, 0, 0);          /* it was not evicted */
	window_close(&w);
	(void)window_reclaim(&made_ground);
	assert_true(made.row[GROUND_HEAP][1].unpublished);
}

static void without_memory_it_is_not_made(void **state)
{
	struct window w;

	(void)state;
	add_row(11);
	made_live(1, 60, ONE, ago(5));
	arena = map_fail_arena_with(0);
	window_old(&w, &arena, &made_ground, 5);
	assert_true(arena.failed);
	window_close(&w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_are_met_with_their_ages),
		TEST(younger_ones_are_left_out),
		TEST(one_that_was_born_just_now_has_no_age),
		TEST(a_window_of_old_blocks_has_their_sums_alone),
		TEST(it_is_read_from_when_it_is_made),
		TEST(without_memory_it_is_not_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
