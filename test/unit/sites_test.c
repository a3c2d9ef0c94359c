#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/os_walled.h"
#include "sampler/sites.h"

#define BUDGET (1u << 18)

static struct sites sites;

static void forget(struct sites *s, size_t mapped_before)
{
	os_unmap(s->row, s->rows_max * sizeof(*s->row));
	os_unmap((void *)(uintptr_t)s->index.words, os_walled.live_bytes - mapped_before);
}

static int begin(void **state)
{
	(void)state;
	return sites_init(&sites, BUDGET);
}

static int end(void **state)
{
	(void)state;
	forget(&sites, 0);
	return os_walled.live_bytes != 0;
}

static void assert_same_key(const struct site_key *a, const struct site_key *b)
{
	assert_int_equal(a->stack, b->stack);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->thread, b->thread);
	assert_int_equal(a->labels, b->labels);
}

static void each_part_of_a_key_tells_sites_apart(void **state)
{
	static const struct site_key key[] = {
		{ 1, 2, 3, 4 }, { 9, 2, 3, 4 }, { 1, 9, 3, 4 }, { 1, 2, 9, 4 }, { 1, 2, 3, 9 },
		{ 2, 1, 3, 4 }, { 1, 2, 4, 3 }, { 0, 0, 0, 0 },
		{ UINT32_MAX, UINT32_MAX, UINT16_MAX, UINT16_MAX },
	};
	uint32_t row[COUNT_OF(key)];
	uint64_t value[SITES_VALUES];
	struct site_key got;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(key); i++) {
		row[i] = sites_row(&sites, &key[i]);
		assert_int_not_equal(row[i], 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(row[i], row[k]);
	}
	for (size_t i = 0; i < COUNT_OF(key); i++) {
		assert_int_equal(sites_row(&sites, &key[i]), row[i]);
		assert_true(sites_read(&sites, row[i], &got, value));
		assert_same_key(&got, &key[i]);
	}
}

/* The hash is of stack and size plus a multiple of thread and labels: these two are equal. */
static void keys_with_the_same_hash_are_different_all_the_same(void **state)
{
	uint64_t low = 5 | UINT64_C(48) << 32, other = low - UINT64_C(0x9e3779b97f4a7c15);
	struct site_key first = { 5, 48, 0, 0 };
	struct site_key second = { (uint32_t)other, (uint32_t)(other >> 32), 1, 0 };
	uint32_t row = sites_row(&sites, &first);

	(void)state;
	assert_int_not_equal(sites_row(&sites, &second), row);
	assert_int_equal(sites_row(&sites, &first), row);
}

static void counters_add_up_each_by_itself(void **state)
{
	struct site_key key = { 1, 0, 0, 0 }, other = { 2, 0, 0, 0 };
	uint32_t row = sites_row(&sites, &key), next = sites_row(&sites, &other);
	uint64_t value[SITES_VALUES];

	(void)state;
	for (unsigned i = 0; i < SITES_VALUES; i++) {
		sites_add(&sites, row, i, 100 + i);
		sites_add(&sites, row, i, UINT64_C(1) << 40);
		sites_add(&sites, next, i, 1);
	}
	assert_true(sites_read(&sites, row, &key, value));
	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(value[i] == (UINT64_C(1) << 40) + 100 + i);
	assert_true(sites_read(&sites, next, &key, value));
	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(value[i] == 1);
}

static void a_new_row_counts_nothing_yet(void **state)
{
	struct site_key key = { 1, 2, 3, 4 };
	uint64_t value[SITES_VALUES];

	(void)state;
	memset(value, 0xff, sizeof(value));
	assert_true(sites_read(&sites, sites_row(&sites, &key), &key, value));
	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(value[i] == 0);
}

static void rows_are_numbered_from_1_to_the_end(void **state)
{
	(void)state;
	assert_int_equal(sites_end(&sites), 1);
	for (uint32_t i = 1; i <= 100; i++) {
		struct site_key key = { i, 0, 0, 0 };

		assert_int_equal(sites_row(&sites, &key), i);
		assert_int_equal(sites_end(&sites), i + 1);
	}
}

/* Of two threads that add a key at once, the second leaves a row behind that nobody will ever use;
 * and any row is such a row until its word is in the index. */
static void what_is_not_published_cannot_be_read(void **state)
{
	struct site_key key = { 7, 7, 7, 7 };
	uint64_t value[SITES_VALUES];
	uint32_t row = sites.rows++;

	(void)state;
	sites.row[row].key = key;
	assert_int_equal(sites_end(&sites), row + 1);
	assert_false(sites_read(&sites, row, &key, value));
	assert_int_not_equal(sites_row(&sites, &key), row);
	assert_false(sites_read(&sites, row, &key, value));
}

/* A key is refused when its buckets are full on all levels: some are before the memory for rows is
 * used up, and all are then. */
static void a_full_table_says_so_and_loses_nothing(void **state)
{
	static uint32_t row[BUDGET / 80];
	uint64_t value[SITES_VALUES];
	struct site_key key = { 0 }, got;
	uint32_t count = 0, lost = 0;

	(void)state;
	for (; count < COUNT_OF(row) && sites_end(&sites) < sites.rows_max; count++) {
		key.stack = count + 1;
		row[count] = sites_row(&sites, &key);
		if (row[count] != 0)
			sites_add(&sites, row[count], 0, count);
		lost += row[count] == 0;
	}
	/* The last row ends at the wall. */
	assert_int_equal(sites_end(&sites), sites.rows_max);
	assert_true(lost < count / 20);
	for (key.stack = 1000000; key.stack < 1001000; key.stack++)
		assert_int_equal(sites_row(&sites, &key), 0);
	assert_int_equal(sites_end(&sites), sites.rows_max);
	for (uint32_t i = 0; i < count; i++) {
		key.stack = i + 1;
		assert_int_equal(sites_row(&sites, &key), row[i]);
		if (row[i] == 0)
			continue;
		assert_true(sites_read(&sites, row[i], &got, value));
		assert_same_key(&got, &key);
		assert_true(value[0] == i);
	}
}

static void the_budget_holds(void **state)
{
	static const uint64_t budget[] = { 1u << 17, 1u << 20, 999999, 8u << 20, 1ull << 33 };
	size_t least_index = LEVELS_FIRST * LEVELS_BUCKET * 8;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(budget); i++) {
		size_t before = os_walled.live_bytes;
		struct sites s;

		assert_int_equal(sites_init(&s, budget[i]), 0);
		assert_true(os_walled.live_bytes - before <= budget[i] + least_index);
		assert_true(os_walled.live_bytes - before >= budget[i] / 100 * 99);
		forget(&s, before);
	}
}

static void any_refusal_of_memory_leaves_nothing_behind(void **state)
{
	size_t before = os_walled.live_bytes;
	struct sites s = { .rows_max = 77 };

	(void)state;
	for (unsigned nth = 1; nth <= 2; nth++) {
		os_walled.fail_at = os_walled.calls + nth;
		assert_int_equal(sites_init(&s, BUDGET), -ENOMEM);
		assert_int_equal(os_walled.live_bytes, before);
		assert_int_equal(s.rows_max, 77);
		assert_null(s.row);
	}
	os_walled.fail_at = 0;
}

static void a_table_that_was_never_made_is_empty_and_full(void **state)
{
	static struct sites zero;
	struct site_key key = { 1, 0, 0, 0 };

	(void)state;
	assert_int_equal(sites_row(&zero, &key), 0);
	assert_int_equal(sites_end(&zero), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_part_of_a_key_tells_sites_apart),
		TEST(keys_with_the_same_hash_are_different_all_the_same),
		TEST(counters_add_up_each_by_itself),
		TEST(a_new_row_counts_nothing_yet),
		TEST(rows_are_numbered_from_1_to_the_end),
		TEST(what_is_not_published_cannot_be_read),
		TEST(a_full_table_says_so_and_loses_nothing),
		TEST(the_budget_holds),
		TEST(any_refusal_of_memory_leaves_nothing_behind),
		TEST(a_table_that_was_never_made_is_empty_and_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
