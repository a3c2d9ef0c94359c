#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/os_walled.h"
#include "sampler/sites.h"

#define ROWS 1000

static struct sites sites;

static int begin(void **state)
{
	(void)state;
	return sites_init(&sites, ROWS);
}

static int end(void **state)
{
	(void)state;
	sites_free(&sites);
	return os_walled.live_bytes != 0;
}

static uint32_t take(uint32_t stack)
{
	struct site_key key = { stack, 2, 3, 4, 0 };
	uint32_t row = sites_take(&sites);

	assert_int_not_equal(row, 0);
	sites_set_key(&sites, row, &key);
	return row;
}

static void counters_add_up_each_by_itself(void **state)
{
	uint32_t row = take(1), next = take(2);
	uint64_t value[SITES_VALUES];
	struct site_key key;

	(void)state;
	for (unsigned i = 0; i < SITES_VALUES; i += 2) {
		sites_add(&sites, row, i, 100 + i, 101 + i);
		sites_add(&sites, row, i, UINT64_C(1) << 40, 0);
		sites_add(&sites, row, i, 0, UINT64_C(1) << 40);
		sites_add(&sites, next, i, 1, 1);
	}
	assert_true(sites_read(&sites, row, &key, value));
	assert_true(key.stack == 1 && key.size == 2 && key.thread == 3 && key.labels == 4);
	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(value[i] == (UINT64_C(1) << 40) + 100 + i);
	assert_true(sites_read(&sites, next, &key, value));
	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(value[i] == 1);
}

static void a_new_row_counts_nothing_yet(void **state)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;

	(void)state;
	memset(value, 0xff, sizeof(value));
	assert_true(sites_read(&sites, take(1), &key, value));
	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(value[i] == 0);
}

static void rows_are_numbered_from_1_to_the_end(void **state)
{
	(void)state;
	assert_int_equal(sites_end(&sites), 1);
	assert_int_equal(sites_count(&sites), 0);
	for (uint32_t i = 1; i < ROWS; i++) {
		assert_int_equal(take(i), i);
		assert_int_equal(sites_end(&sites), i + 1);
		assert_int_equal(sites_count(&sites), i);
	}
	/* The last row ends at the wall. */
	sites_add(&sites, ROWS - 1, SITES_VALUES - 2, 1, 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sites_take(&sites), 0);
	assert_int_equal(sites_end(&sites), ROWS);
	assert_int_equal(sites_count(&sites), ROWS - 1);
}

static void a_row_can_be_read_from_its_key_on(void **state)
{
	uint32_t row = sites_take(&sites);
	struct site_key key = { 7, 7, 7, 7, 7 };
	uint64_t value[SITES_VALUES];

	(void)state;
	assert_int_equal(sites_end(&sites), row + 1);
	assert_false(sites_read(&sites, row, &key, value));
	key = (struct site_key){ 7, 7, 7, 7, 7 };
	sites_set_key(&sites, row, &key);
	assert_true(sites_read(&sites, row, &key, value));
	assert_false(sites_counted(&sites, row));
	sites_add(&sites, row, SITES_VALUES - 2, 0, 1);
	assert_true(sites_counted(&sites, row));
}

static void what_was_given_back_is_taken_again_and_counts_from_0(void **state)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;

	(void)state;
	for (uint32_t i = 1; i < ROWS; i++)
		sites_add(&sites, take(i), i % SITES_VALUES & ~1u, 77, 78);
	/* Many times around, in packs of all sizes. */
	for (uint32_t pack = 1; pack < ROWS; pack += 13) {
		for (uint32_t i = 1; i <= pack; i++)
			sites_give(&sites, i);
		assert_int_equal(sites_count(&sites), ROWS - 1 - pack);
		assert_false(sites_read(&sites, pack, &key, value));
		for (uint32_t i = 1; i <= pack; i++) {
			uint32_t row = take(i);

			assert_int_equal(row, i);
			assert_true(sites_read(&sites, row, &key, value));
			for (unsigned v = 0; v < SITES_VALUES; v++)
				assert_true(value[v] == 0);
			sites_add(&sites, row, i % SITES_VALUES & ~1u, 77, 78);
		}
		assert_int_equal(sites_take(&sites), 0);
	}
}

static void any_refusal_of_memory_leaves_nothing_behind(void **state)
{
	size_t before = os_walled.live_bytes;
	struct sites s = { .rows_max = 77 };

	(void)state;
	for (unsigned nth = 1; nth <= 2; nth++) {
		os_walled.fail_at = os_walled.calls + nth;
		assert_int_equal(sites_init(&s, ROWS), -ENOMEM);
		assert_int_equal(os_walled.live_bytes, before);
		assert_int_equal(s.rows_max, 77);
		assert_null(s.row);
	}
	os_walled.fail_at = 0;
}

static void a_table_that_was_never_made_is_empty_and_full(void **state)
{
	static struct sites zero;

	(void)state;
	assert_int_equal(sites_take(&zero), 0);
	assert_int_equal(sites_end(&zero), 1);
	assert_int_equal(sites_count(&zero), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counters_add_up_each_by_itself),
		TEST(a_new_row_counts_nothing_yet),
		TEST(rows_are_numbered_from_1_to_the_end),
		TEST(a_row_can_be_read_from_its_key_on),
		TEST(what_was_given_back_is_taken_again_and_counts_from_0),
		TEST(any_refusal_of_memory_leaves_nothing_behind),
		TEST(a_table_that_was_never_made_is_empty_and_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
