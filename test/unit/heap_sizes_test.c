#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/os_walled.h"
#include "fake/stacks_add.h"
#include "sampler/heap_sizes.h"

static const struct generations_kind kind = {
	.rows_eighths = 4, .reclaim_eighths = 6, .samples_eighths = 8, .evicted = COUNT_REASONS,
};

static struct generations table;

static int begin(void **state)
{
	static uint64_t number;

	(void)state;
	if (generations_init(&table, &kind, 1u << 20) < 0)
		return -1;
	/* What a test has left in the cells is of another generation. */
	table.now = (number += 2) << 2 | GENERATIONS_CLEAR;
	return 0;
}

static int end(void **state)
{
	(void)state;
	generations_free(&table);
	return os_walled.live_bytes != 0;
}

/* The size of the row on which a block counts. */
static uint32_t size_of(frame_t stack, uint32_t size, uint16_t thread)
{
	uint64_t now = generations_now(&table), value[SITES_VALUES];
	uint32_t id = stacks_add(&generations_at(&table, now)->stacks, &stack, 1);
	struct site_key key = { .stack = generations_stack(now, id), .size = size,
				.thread = thread }, got;
	uint32_t row = heap_sizes_row(&table, now, &key);

	assert_int_not_equal(row, 0);
	assert_true(sites_read(&table.sites, row, &got, value));
	assert_int_equal(got.stack, key.stack);
	assert_int_equal(got.thread, thread);
	return got.size;
}

/* 512 is a size, and the name of a class. */
static void a_size_is_not_counted_as_another_that_names_its_class(void **state)
{
	(void)state;
	assert_int_equal(heap_sizes_class(500), 512);
	assert_int_equal(size_of(1, 512, 0), 512);
	assert_int_equal(size_of(1, 500, 0), 500);
	assert_int_equal(size_of(1, 512, 0), 512);
}

static void a_class_is_at_most_a_quarter_larger(void **state)
{
	static const uint32_t sizes[] = { 17, 20, 21, 24, 25, 32, 33, 40, 41, 1000, 1024, 1025,
					  4096, 5120, 5121, 1000000, (1u << 30) + 1,
					  UINT32_MAX / 2 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		uint32_t class = heap_sizes_class(sizes[i]);

		assert_true(class >= sizes[i] && class <= sizes[i] + sizes[i] / 4);
		if (class > UINT32_MAX / 2)
			continue;
		assert_int_equal(heap_sizes_class(class), class);
		assert_true(heap_sizes_class(class + 1) > class);
	}
	assert_int_equal(heap_sizes_class(1), 16);
	assert_int_equal(heap_sizes_class(16), 16);
	assert_int_equal(heap_sizes_class(UINT32_MAX / 2 + 1), UINT32_MAX);
	assert_int_equal(heap_sizes_class(UINT32_MAX), UINT32_MAX);
	assert_int_equal(heap_sizes_key(UINT32_MAX - 1ull), UINT32_MAX - 1);
	assert_int_equal(heap_sizes_key(UINT32_MAX + 1ull), UINT32_MAX);
	assert_int_equal(heap_sizes_key(SIZE_MAX), UINT32_MAX);
}

static void the_first_sizes_of_a_stack_are_exact(void **state)
{
	static const uint32_t size[] = { 1, 1001, 17, UINT32_MAX };

	(void)state;
	static_assert(COUNT_OF(size) == HEAP_SIZES_OWN, "");
	for (size_t again = 0; again < 3; again++)
		for (size_t i = 0; i < COUNT_OF(size); i++)
			assert_int_equal(size_of(7, size[i], 1), size[i]);
	/* The others are of a class; the first ones stay what they are. */
	assert_int_equal(size_of(7, 1002, 1), 1024);
	assert_int_equal(size_of(7, 1003, 1), 1024);
	assert_int_equal(size_of(7, 3, 1), 16);
	for (size_t i = 0; i < COUNT_OF(size); i++)
		assert_int_equal(size_of(7, size[i], 1), size[i]);
	/* Another stack, and another thread, begin anew. */
	assert_int_equal(size_of(8, 1002, 1), 1002);
	assert_int_equal(size_of(7, 1002, 2), 1002);
}

static void many_sizes_of_a_stack_are_few_rows(void **state)
{
	uint32_t before = sites_count(&table.sites);

	(void)state;
	for (uint32_t size = 1; size <= 100000; size++)
		(void)size_of(7, size, 1);
	/* Up to 2^17, four to the doubling from 16 on. */
	assert_in_range(sites_count(&table.sites) - before, HEAP_SIZES_OWN + 40,
			HEAP_SIZES_OWN + 1 + 4 * 13);
}

/* One that is met again in the next generation keeps its row, and its stack may have others. */
static void a_size_keeps_its_row_in_the_next_generation(void **state)
{
	uint32_t before;

	(void)state;
	for (uint32_t size = 101; size <= 101 + HEAP_SIZES_OWN; size++)
		(void)size_of(7, size, 1);
	before = sites_count(&table.sites);
	assert_true(generations_next(&table, generations_now(&table)));
	for (uint32_t size = 101; size < 101 + HEAP_SIZES_OWN; size++)
		assert_int_equal(size_of(7, size, 1), size);
	assert_int_equal(sites_count(&table.sites), before);
	assert_int_equal(size_of(7, 1001, 1), 1001);
	assert_int_equal(sites_count(&table.sites), before + 1);
}

/* Of a thousand stacks with one size nearly all have it: cells are shared by few. */
static void of_many_stacks_each_has_its_size(void **state)
{
	unsigned exact = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		exact += size_of(1000 + i, 999, 1) == 999;
	assert_int_equal(exact, 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_size_is_not_counted_as_another_that_names_its_class),
		TEST(a_class_is_at_most_a_quarter_larger),
		TEST(the_first_sizes_of_a_stack_are_exact),
		TEST(many_sizes_of_a_stack_are_few_rows),
		TEST(a_size_keeps_its_row_in_the_next_generation),
		TEST(of_many_stacks_each_has_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
