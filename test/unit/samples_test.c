#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/made_arena.h"
#include "httpd/samples.h"
#include "sampler/compiler.h"
#include "sampler/levels.h"

static struct samples samples;

static struct made_row *add(uint32_t stack, uint32_t size, uint16_t thread, uint64_t n)
{
	struct made_row *r = made_add(GROUND_HEAP, stack, size, thread);

	r->value[0] = n;
	r->value[SITES_VALUES - 1] = 10 * n;
	return r;
}

static void collect(int by)
{
	struct window w;

	window_all(&w, &made_ground, GROUND_HEAP);
	samples_collect(&samples, &arena, &w, by);
	window_close(&w);
}

static void assert_sample(uint32_t i, uint32_t stack, uint32_t size, uint16_t thread, int64_t n)
{
	const struct sample *s = &samples.sample[i];

	assert_true(i < samples.count);
	assert_int_equal(s->key.stack, stack);
	assert_int_equal(s->key.size, size);
	assert_int_equal(s->key.thread, thread);
	assert_true(s->value[0] == n && s->value[SITES_VALUES - 1] == 10 * n);
	assert_true(s->value[1] == 0);
}

/* Two stacks, two sizes, two threads, and a part of the combinations twice. */
static void add_some(void)
{
	add(7, 16, 1, 1);
	add(7, 16, 2, 2);
	add(7, 32, 1, 4);
	add(9, 16, 1, 8);
	add(7, 32, 2, 16);
	add(9, 16, 2, 32);
}

/* Of ten stacks each is shown alike. */
static uint64_t shown(void *with, uint32_t stack)
{
	++*(unsigned *)with;
	return levels_hash(stack / 10 + 1);
}

static void stacks_that_are_shown_alike_are_one_sample(void **state)
{
	unsigned asked = 0;

	(void)state;
	add(71, 16, 1, 1);
	add(20, 16, 1, 2);
	add(79, 16, 1, 4);
	add(21, 16, 2, 8);
	add(29, 16, 1, 16);
	add(75, 32, 1, 32);
	collect(SAMPLES_BY_SIZE | SAMPLES_BY_THREAD);
	assert_int_equal(samples.count, 6);
	samples_merge(&samples, &arena, shown, &asked);
	assert_int_equal(asked, 6);
	assert_int_equal(samples.count, 4);
	assert_sample(0, 71, 16, 1, 5);
	assert_sample(1, 20, 16, 1, 18);
	assert_sample(2, 21, 16, 2, 8);
	assert_sample(3, 75, 32, 1, 32);
	/* Many: the table has room for all. */
	for (uint32_t i = 0; i < 1000; i++)
		add(100 + i, 16, 1, 1);
	collect(SAMPLES_BY_STACK);
	samples_merge(&samples, &arena, shown, &asked);
	assert_int_equal(samples.count, 2 + 100);
	assert_sample(101, 1090, 0, 0, 10);
}

static void sorted_the_greatest_comes_first(void **state)
{
	static const int64_t first[] = { 9, 5, 5, 0, -1, -7 };
	static const uint32_t stack[] = { 3, 2, 6, 4, 5, 1 };

	(void)state;
	add(1, 0, 0, (uint64_t)-7);
	add(2, 0, 0, 5);
	add(3, 0, 0, 9);
	add(4, 0, 0, 0)->value[1] = 1;
	add(5, 0, 0, (uint64_t)-1);
	add(6, 0, 0, 5);
	collect(SAMPLES_BY_STACK);
	samples_sort(&samples, &arena, 0);
	assert_int_equal(samples.count, 6);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(samples.sample[i].value[0], first[i]);
		assert_int_equal(samples.sample[i].key.stack, stack[i]);
	}
}

static void sites_of_a_stack_are_one_sample(void **state)
{
	(void)state;
	add_some();
	collect(SAMPLES_BY_STACK);
	assert_int_equal(samples.count, 2);
	assert_sample(0, 7, 0, 0, 23);
	assert_sample(1, 9, 0, 0, 40);
}

static void by_size_they_are_one_for_each_size(void **state)
{
	(void)state;
	add_some();
	collect(SAMPLES_BY_SIZE);
	assert_int_equal(samples.count, 3);
	assert_sample(0, 7, 16, 0, 3);
	assert_sample(1, 7, 32, 0, 20);
	assert_sample(2, 9, 16, 0, 40);
}

static void by_thread_they_are_one_for_each_thread(void **state)
{
	(void)state;
	add_some();
	collect(SAMPLES_BY_THREAD);
	assert_int_equal(samples.count, 4);
	assert_sample(0, 7, 0, 1, 5);
	assert_sample(1, 7, 0, 2, 18);
	assert_sample(2, 9, 0, 1, 8);
	assert_sample(3, 9, 0, 2, 32);
}

static void by_both_nothing_is_put_together(void **state)
{
	(void)state;
	add_some();
	collect(SAMPLES_BY_SIZE | SAMPLES_BY_THREAD);
	assert_int_equal(samples.count, 6);
	assert_sample(0, 7, 16, 1, 1);
	assert_sample(5, 9, 16, 2, 32);
}

static void sites_that_counted_nothing_are_no_samples(void **state)
{
	struct window w;

	(void)state;
	add(1, 0, 0, 0);
	add(2, 0, 0, 5);
	add(3, 0, 0, 7)->unpublished = true;
	add(4, 0, 0, 0)->value[3] = 1;
	collect(SAMPLES_BY_STACK);
	assert_int_equal(samples.count, 2);
	assert_int_equal(samples.sample[0].key.stack, 2);
	assert_int_equal(samples.sample[1].key.stack, 4);
	/* In a window, what was before it is nothing. */
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	made.row[GROUND_HEAP][4].value[3]++;
	samples_collect(&samples, &arena, &w, SAMPLES_BY_STACK);
	window_close(&w);
	assert_int_equal(samples.count, 1);
	assert_true(samples.sample[0].value[3] == 1);
}

static void counters_may_have_gone_down_together(void **state)
{
	struct made_row *up = add(1, 16, 0, 5), *down = add(1, 32, 0, 5);
	struct window w;

	(void)state;
	window_open(&w, &arena, &made_ground, GROUND_HEAP);
	up->value[0] += 3;
	down->value[0] -= 4;
	samples_collect(&samples, &arena, &w, SAMPLES_BY_STACK);
	window_close(&w);
	assert_int_equal(samples.count, 1);
	assert_true(samples.sample[0].value[0] == -1);
}

static void without_rows_there_are_no_samples(void **state)
{
	(void)state;
	collect(SAMPLES_BY_STACK);
	assert_int_equal(samples.count, 0);
}

/* More than a breath's worth, and keys that differ in one bit. */
static void many_sites_are_all_found(void **state)
{
	uint64_t sum = 0;

	(void)state;
	for (uint32_t i = 1; i < MADE_ROWS; i++) {
		add(1u << i % 32, i % 4 << 30, (uint16_t)(1u << i % 16), i);
		sum += i;
	}
	collect(SAMPLES_BY_STACK);
	assert_int_equal(samples.count, 32);
	for (uint32_t i = 0; i < samples.count; i++)
		sum -= (uint64_t)samples.sample[i].value[0];
	assert_true(sum == 0);
	collect(SAMPLES_BY_SIZE);
	assert_int_equal(samples.count, 32);
	collect(SAMPLES_BY_THREAD | SAMPLES_BY_SIZE);
	assert_int_equal(samples.count, 32);
}

/* What is put together into a hash is shifted by so much: these are equal. */
static void keys_with_the_same_hash_are_different_all_the_same(void **state)
{
	(void)state;
	add(1u << 17, 0, 0, 1);
	add(0, 0, 1, 2);
	collect(SAMPLES_BY_THREAD);
	assert_int_equal(samples.count, 2);
	assert_sample(0, 1u << 17, 0, 0, 1);
	assert_sample(1, 0, 0, 1, 2);
}

static void every_key_of_many_is_a_sample_of_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < MADE_ROWS; i++)
		add(i, 0, 0, i);
	collect(SAMPLES_BY_STACK);
	assert_int_equal(samples.count, MADE_ROWS - 1);
	for (uint32_t i = 0; i < samples.count; i++)
		assert_sample(i, i + 1, 0, 0, i + 1);
}

static void without_memory_there_are_none(void **state)
{
	(void)state;
	add_some();
	for (unsigned nth = 1; nth <= 2; nth++) {
		arena_reset(&arena);
		/* Both allocations fit into one block of the arena: the second needs a budget. */
		arena = nth == 1 ? map_fail_arena_with(0)
				 : map_fail_arena_with(7 * sizeof(struct sample));
		arena.budget_bytes = arena.mapped_bytes;
		collect(SAMPLES_BY_STACK);
		assert_true(arena.failed);
		assert_int_equal(samples.count, 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sites_of_a_stack_are_one_sample),
		TEST(stacks_that_are_shown_alike_are_one_sample),
		TEST(sorted_the_greatest_comes_first),
		TEST(by_size_they_are_one_for_each_size),
		TEST(by_thread_they_are_one_for_each_thread),
		TEST(by_both_nothing_is_put_together),
		TEST(sites_that_counted_nothing_are_no_samples),
		TEST(counters_may_have_gone_down_together),
		TEST(without_rows_there_are_no_samples),
		TEST(many_sites_are_all_found),
		TEST(keys_with_the_same_hash_are_different_all_the_same),
		TEST(every_key_of_many_is_a_sample_of_its_own),
		TEST(without_memory_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
