#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encode/arena.h"
#include "fake/map_fail.h"
#include "fuzz/wall.h"
#include "sampler/compiler.h"

static void memory_is_aligned_zeroed_and_nobody_elses(void **state)
{
	static const size_t sizes[] = { 1, 0, 15, 16, 17, 100, 4096, 65536, 3, 200000, 5,
					1u << 20, 7 };
	unsigned char *got[COUNT_OF(sizes)];
	struct arena a = map_fail_arena(16u << 20);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		got[i] = arena_alloc(&a, sizes[i]);
		assert_non_null(got[i]);
		assert_int_equal((uintptr_t)got[i] % 16, 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(got[i][k], 0);
		memset(got[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(got[i][k], i + 1);
	assert_int_equal(a.mapped_bytes, map_fail.live_bytes);
	arena_reset(&a);
}

static void small_requests_share_few_mappings(void **state)
{
	struct arena a = map_fail_arena(64u << 20);

	(void)state;
	assert_int_equal(map_fail.calls, 0);
	for (unsigned i = 0; i < (8u << 20) / 64; i++)
		assert_non_null(arena_alloc(&a, 64));
	assert_in_range(map_fail.calls, 5, 16);
	assert_in_range(a.mapped_bytes, 8u << 20, 10u << 20);
	arena_reset(&a);
}

static void the_budget_is_kept_and_used_to_its_last_page(void **state)
{
	static const size_t budgets[] = { 0, 1, 4095, 4096, 8192, 65535, 65536, 65537, 70000,
					  192 << 10, 1000000, 3u << 20 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(budgets); i++) {
		struct arena a = map_fail_arena(budgets[i]);
		size_t got = 0;

		while (arena_alloc(&a, 48) != NULL)
			got += 48;
		assert_true(a.failed);
		assert_true(a.mapped_bytes <= budgets[i]);
		assert_true(budgets[i] - a.mapped_bytes < 4096);
		assert_true(a.mapped_bytes - got <= 80 * (size_t)map_fail.calls);
		arena_reset(&a);
	}
}

static void one_request_may_take_the_whole_budget(void **state)
{
	struct arena a = map_fail_arena(5u << 20);

	(void)state;
	assert_non_null(arena_alloc(&a, (5u << 20) - 32));
	assert_false(a.failed);
	arena_reset(&a);
	assert_null(arena_alloc(&a, (5u << 20) - 16));
	assert_true(a.failed);
	assert_int_equal(map_fail.live_bytes, 0);
}

static void a_full_arena_stays_full(void **state)
{
	struct arena a = map_fail_arena(65536);
	char *p = arena_alloc(&a, 100);

	(void)state;
	assert_non_null(p);
	assert_null(arena_alloc(&a, 65536));
	assert_true(a.failed);
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_copy_string(&a, "x", 1));
	p[99] = 'x';                    /* what was given stays */
	arena_reset(&a);
}

static void sizes_that_wrap_around_are_refused(void **state)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 31,
					SIZE_MAX - 47, SIZE_MAX - 4096, SIZE_MAX - 8192,
					SIZE_MAX / 2 + 1, SIZE_MAX / 2, SIZE_MAX / 2 - 4096 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct arena a = map_fail_arena(SIZE_MAX);

		map_fail.fail_at = 2;
		assert_non_null(arena_alloc(&a, 1));
		assert_null(arena_alloc(&a, sizes[i]));
		assert_true(a.failed);
		arena_reset(&a);
		map_fail.fail_at = map_fail.calls + 1;
		assert_null(arena_copy_string(&a, "", sizes[i]));
		arena_reset(&a);
	}
}

static void every_refusal_of_the_map_is_answered_with_null(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth < 6; nth++) {
		struct arena a = map_fail_arena(16u << 20);
		unsigned got = 0;

		map_fail.fail_at = nth;
		while (arena_alloc(&a, 10000) != NULL)
			got++;
		assert_int_equal(map_fail.calls, nth);
		assert_true(a.failed);
		assert_true(nth == 1 ? got == 0 : got > 0);
		arena_reset(&a);
		assert_int_equal(map_fail.live_bytes, 0);
	}
}

static void a_reset_arena_is_as_new(void **state)
{
	struct arena a = map_fail_arena(1u << 20);
	struct arena fresh = a;

	(void)state;
	for (int round = 0; round < 3; round++) {
		while (arena_alloc(&a, 1000) != NULL)
			;
		arena_reset(&a);
		assert_int_equal(map_fail.live_bytes, 0);
		assert_memory_equal(&a, &fresh, sizeof(a));
	}
}

static void a_copied_string_ends_in_a_zero_and_reads_no_further(void **state)
{
	struct arena a = map_fail_arena(1u << 20);

	(void)state;
	for (size_t n = 0; n < 40; n++) {
		static const char text[] = "the quick brown fox jumps over the lazy dog";
		const char *copy = arena_copy_string(&a, wall_copy(text, n), n);

		memset(arena_alloc(&a, 16), 'x', 16);
		assert_memory_equal(copy, text, n);
		assert_int_equal(copy[n], 0);
	}
	arena_reset(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_zeroed_and_nobody_elses),
		cmocka_unit_test(small_requests_share_few_mappings),
		cmocka_unit_test(the_budget_is_kept_and_used_to_its_last_page),
		cmocka_unit_test(one_request_may_take_the_whole_budget),
		cmocka_unit_test(a_full_arena_stays_full),
		cmocka_unit_test(sizes_that_wrap_around_are_refused),
		cmocka_unit_test(every_refusal_of_the_map_is_answered_with_null),
		cmocka_unit_test(a_reset_arena_is_as_new),
		cmocka_unit_test(a_copied_string_ends_in_a_zero_and_reads_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
