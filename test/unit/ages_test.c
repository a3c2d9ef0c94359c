/* How old the live blocks of each sample are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/made_arena.h"
#include "httpd/ages.h"
#include "sampler/levels.h"
#include "sampler/os.h"

static struct window window;
static struct samples samples;
static const struct ages *ages;

static int close_and_end(void **state)
{
	window_close(&window);
	return end(state);
}

static void add_row(uint32_t stack, uint32_t size)
{
	made_add(GROUND_HEAP, stack, size, 0)->value[HEAP_ALLOC_RAW] = 1;
}

/* Half a second more: so that the time that a test takes is no matter.  No age is above 40 s: a machine
   may have been started a minute ago. */
static void live(uint32_t row, uint64_t age_s)
{
	made_live(row, 16, 1, os_monotonic_ns() - age_s * 1000000000 - 500000000);
}

static uint64_t shown(void *with, uint32_t stack)
{
	(void)with;
	return levels_hash(stack / 10 + 1);
}

static void look(uint64_t min_age_s)
{
	if (min_age_s != 0)
		window_old(&window, &arena, &made_ground, min_age_s);
	else
		window_all(&window, &made_ground, GROUND_HEAP);
	samples_collect(&samples, &arena, &window, SAMPLES_BY_SIZE);
	samples_merge(&samples, &arena, shown, NULL);
	ages = ages_of(&arena, &window, &samples);
}

static void assert_ages(uint32_t sample, uint32_t blocks, uint32_t youngest_s, uint32_t median_s,
			uint32_t oldest_s)
{
	assert_true(sample < samples.count);
	assert_int_equal(ages[sample].blocks, blocks);
	if (blocks == 0)
		return;
	assert_int_equal(ages[sample].youngest_s, youngest_s);
	assert_int_equal(ages[sample].median_s, median_s);
	assert_int_equal(ages[sample].oldest_s, oldest_s);
}

/* Rows that are shown alike are one sample. */
static void blocks_are_of_the_sample_of_their_row(void **state)
{
	(void)state;
	add_row(11, 16);
	add_row(21, 16);
	add_row(12, 16);        /* as the first */
	add_row(11, 32);
	add_row(51, 32);        /* without blocks */
	add_row(11, 16);        /* the first again */
	live(1, 5);
	live(2, 7);
	live(3, 9);
	live(4, 30);
	live(6, 6);
	live(7, 40);          /* on a row that nobody has read */
	look(0);
	assert_int_equal(samples.count, 4);
	assert_ages(0, 3, 5, 6, 9);
	assert_ages(1, 1, 7, 7, 7);
	assert_ages(2, 1, 30, 30, 30);
	assert_ages(3, 0, 0, 0, 0);
}

static void the_median_is_in_the_middle(void **state)
{
	static const struct { unsigned n; uint32_t age[7], median; } cases[] = {
		{ 1, { 0 }, 0 }, { 2, { 3, 1 }, 1 }, { 3, { 9, 1, 3 }, 3 }, { 4, { 4, 3, 2, 1 }, 2 },
		{ 5, { 7, 7, 0, 7, 0 }, 7 }, { 7, { 40, 1, 2, 39, 38, 3, 4 }, 4 },
		{ 6, { 5, 5, 5, 5, 5, 5 }, 5 },
	};

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
		add_row(10 * (i + 1), 16);
		for (unsigned k = 0; k < cases[i].n; k++)
			live(i + 1, cases[i].age[k]);
	}
	look(0);
	assert_int_equal(samples.count, COUNT_OF(cases));
	for (uint32_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(ages[i].median_s, cases[i].median);
}

static void of_old_blocks_there_are_their_ages_alone(void **state)
{
	(void)state;
	add_row(11, 16);
	live(1, 5);
	live(1, 40);
	live(1, 20);
	look(10);
	assert_ages(0, 2, 20, 20, 40);
}

/* Between the walks more come than there is room for, and some go. */
static unsigned walks;

static size_t end_and_more(void)
{
	if (walks++ > 0)
		for (int i = 0; i < 100; i++)
			live(1, 1);
	return made.blocks;
}

static void what_comes_between_the_walks_is_left_out(void **state)
{
	struct ground ground = made_ground;

	(void)state;
	add_row(11, 16);
	add_row(21, 16);
	live(1, 5);
	live(2, 9);
	window_all(&window, &ground, GROUND_HEAP);
	samples_collect(&samples, &arena, &window, SAMPLES_BY_SIZE);
	walks = 0;
	ground.live_end = end_and_more;
	ages = ages_of(&arena, &window, &samples);
	assert_ages(0, 1, 5, 5, 5);
	assert_ages(1, 1, 9, 9, 9);
}

static void without_memory_there_are_none(void **state)
{
	(void)state;
	add_row(11, 16);
	window_all(&window, &made_ground, GROUND_HEAP);
	samples_collect(&samples, &arena, &window, SAMPLES_BY_SIZE);
	arena.budget_bytes = arena.mapped_bytes;
	while (arena_alloc(&arena, 16) != NULL)
		;
	assert_null(ages_of(&arena, &window, &samples));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, close_and_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_are_of_the_sample_of_their_row),
		TEST(the_median_is_in_the_middle),
		TEST(of_old_blocks_there_are_their_ages_alone),
		TEST(what_comes_between_the_walks_is_left_out),
		TEST(without_memory_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
