#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "fake/sys_refused.h"
#include "sampler/heap_live.h"
#include "sampler/levels.h"

#define BUDGET (1u << 20)
#define BLOCKS (BUDGET / (9 + sizeof(struct heap_block)))

/* 64 on a page. */
static const void *address(uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x7f0000000000) + 64 * i);
}

static struct heap_block block_of(uint64_t i)
{
	return (struct heap_block){ .weight = i + 1, .size = i * i, .row = (uint32_t)i + 7,
				    .birth_s = (uint32_t)i };
}

static enum heap_live_result put(uint64_t i)
{
	struct heap_block b = block_of(i), stale;

	return heap_live_put(address(i), &b, &stale);
}

static void assert_takes(uint64_t i)
{
	struct heap_block b, want = block_of(i);

	memset(&b, 0, sizeof(b));
	assert_true(heap_live_take(address(i), &b));
	assert_true(b.weight == want.weight && b.size == want.size && b.row == want.row &&
		    b.birth_s == want.birth_s);
}

static void assert_takes_nothing(const void *p)
{
	struct heap_block b = { 1, 2, 3, 4 };

	assert_false(heap_live_take(p, &b));
	assert_true(b.weight == 1 && b.size == 2 && b.row == 3 && b.birth_s == 4);
}

static void before_init_there_is_no_room_and_nothing_live(void **state)
{
	(void)state;
	assert_int_equal(put(1), HEAP_LIVE_FULL);
	assert_takes_nothing(address(1));
	assert_true(heap_is_unsampled(address(1)));
}

static void without_memory_it_stays_so(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= 2; nth++) {
		sys_refuse(SYS_mmap, nth, -ENOMEM);
		assert_int_equal(heap_live_init(BUDGET), -ENOMEM);
		sys_refuse(0, 0, 0);
		assert_int_equal(put(1), HEAP_LIVE_FULL);
		assert_takes_nothing(address(1));
	}
	assert_int_equal(heap_live_init(BUDGET), 0);
}

static void a_block_is_live_from_put_to_take(void **state)
{
	(void)state;
	assert_takes_nothing(address(5));
	assert_int_equal(put(5), HEAP_LIVE_PUT);
	assert_false(heap_is_unsampled(address(5)));
	assert_takes(5);
	assert_true(heap_is_unsampled(address(5)));
	assert_takes_nothing(address(5));
}

static void nothing_is_never_live(void **state)
{
	(void)state;
	assert_takes_nothing(NULL);
}

static void a_block_at_the_same_address_replaces_what_was_there(void **state)
{
	struct heap_block b = block_of(77), stale, want = block_of(5);

	(void)state;
	assert_int_equal(put(5), HEAP_LIVE_PUT);
	assert_int_equal(heap_live_put(address(5), &b, &stale), HEAP_LIVE_REPLACED);
	assert_true(stale.weight == want.weight && stale.size == want.size &&
		    stale.row == want.row);
	assert_true(heap_live_take(address(5), &b));
	assert_int_equal(b.row, block_of(77).row);
	/* It counted once in the filter. */
	assert_true(heap_is_unsampled(address(5)));
	assert_takes_nothing(address(5));
}

/* Neighbours in the address space, and such as have the same bits but one. */
static void addresses_are_not_mixed_up(void **state)
{
	static const uint64_t far[] = { 0, 1, 2, 64, 1 << 20, 1 << 24, 1 << 26, UINT64_C(1) << 34 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(far); i++)
		assert_int_equal(put(far[i]), HEAP_LIVE_PUT);
	for (size_t i = COUNT_OF(far); i-- > 0;)
		assert_takes(far[i]);
}

/* The next address after number i whose filter cell is the same. */
static uint64_t next_in_cell(uint64_t i, unsigned cell)
{
	do
		i++;
	while (heap_cell(address(i)) != cell);
	return i;
}

static void a_cell_says_unsampled_when_its_last_block_has_gone(void **state)
{
	unsigned cell = heap_cell(address(1));
	uint64_t second = next_in_cell(1, cell);

	(void)state;
	put(1);
	put(second);
	assert_takes(1);
	assert_false(heap_is_unsampled(address(second)));
	assert_takes(second);
	assert_true(heap_is_unsampled(address(second)));
}

/* A saturated cell has lost count: it asks for ever, and no live block is missed. */
static void a_saturated_cell_asks_for_ever(void **state)
{
	enum { MORE = 300 };
	unsigned cell = heap_cell(address(9));
	uint64_t in_cell[MORE], at = 9;

	(void)state;
	for (unsigned i = 0; i < MORE; i++) {
		at = in_cell[i] = next_in_cell(at, cell);
		assert_int_equal(put(in_cell[i]), HEAP_LIVE_PUT);
		if (i < 253)
			assert_int_equal(heap_filter[cell], i + 1);
	}
	assert_int_equal(heap_filter[cell], UINT8_MAX);
	for (unsigned i = 0; i < MORE; i++) {
		assert_false(heap_is_unsampled(address(in_cell[i])));
		assert_takes(in_cell[i]);
	}
	assert_int_equal(heap_filter[cell], UINT8_MAX);
	heap_filter[cell] = 0;
}

/* They pass heap_is_unsampled with it: nearly all are found out before the table is looked at. */
static void the_neighbours_of_a_live_block_are_told_from_it(void **state)
{
	uintptr_t page = (uintptr_t)address(9) & ~(uintptr_t)4095;
	unsigned maybe = 0;

	(void)state;
	assert_true(heap_live_has_not(address(9)));
	assert_int_equal(put(9), HEAP_LIVE_PUT);
	assert_false(heap_live_has_not(address(9)));
	for (uintptr_t p = page; p < page + 4096; p += 16) {
		assert_false(heap_is_unsampled((const void *)p));
		maybe += !heap_live_has_not((const void *)p);
	}
	assert_in_range(maybe, 1, 3);
	assert_takes(9);
	assert_true(heap_live_has_not(address(9)));
}

/* A page is a cell; only far from each other two pages share one. */
static void a_page_has_a_cell_of_its_own(void **state)
{
	static uint8_t hit[1u << HEAP_FILTER_BITS];
	const char *at = address(0);

	(void)state;
	for (size_t page = 0; page < COUNT_OF(hit); page++) {
		unsigned cell = heap_cell(at + page * 4096);

		assert_in_range(cell, 0, COUNT_OF(hit) - 1);
		assert_int_equal(heap_cell(at + page * 4096 + 4095), cell);
		assert_int_equal(hit[cell]++, 0);
	}
}

/* Some blocks find no room before every word is in use, and say so; all others are there. */
static void a_full_table_says_so_and_loses_nothing(void **state)
{
	static uint8_t in[2 * BLOCKS];
	unsigned refused = 0;

	(void)state;
	for (uint64_t i = 0; i < COUNT_OF(in); i++) {
		enum heap_live_result result = put(i);

		assert_int_not_equal(result, HEAP_LIVE_REPLACED);
		in[i] = result == HEAP_LIVE_PUT;
		refused += !in[i];
		assert_true(refused == 0 || i > BLOCKS / 8);
	}
	assert_in_range(refused, BLOCKS, BLOCKS + BLOCKS / 10);
	for (uint64_t i = 0; i < COUNT_OF(in); i++)
		if (in[i])
			assert_takes(i);
		else
			assert_takes_nothing(address(i));
	for (unsigned cell = 0; cell < COUNT_OF(heap_filter); cell++)
		assert_int_equal(heap_filter[cell], 0);
}

static void freed_entries_are_used_again(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		/* Other addresses each time, as many as fit for sure. */
		for (uint64_t i = 0; i < BLOCKS / 8; i++)
			assert_int_equal(put(round * BLOCKS + i), HEAP_LIVE_PUT);
		for (uint64_t i = 0; i < BLOCKS / 8; i++)
			assert_takes(round * BLOCKS + i);
	}
}

static void a_block_counts_for_its_size_times_its_weight(void **state)
{
	static const struct { uint64_t weight, size, bytes; } cases[] = {
		{ 65536, 0, 0 }, { 65536, 1, 1 }, { 65536, SIZE_MAX, SIZE_MAX },
		{ 98304, 100, 150 }, { 98304, 1, 1 }, { 65537, 65536, 65537 },
		{ UINT64_C(1) << 56, 1, UINT64_C(1) << 40 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct heap_block b = { .weight = cases[i].weight, .size = cases[i].size };

		assert_true(heap_weighed_bytes(&b) == cases[i].bytes);
	}
}

int main(void)
{
	/* The first two need a table that was never made. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_init_there_is_no_room_and_nothing_live),
		cmocka_unit_test(without_memory_it_stays_so),
		cmocka_unit_test(a_block_is_live_from_put_to_take),
		cmocka_unit_test(nothing_is_never_live),
		cmocka_unit_test(a_block_at_the_same_address_replaces_what_was_there),
		cmocka_unit_test(addresses_are_not_mixed_up),
		cmocka_unit_test(a_cell_says_unsampled_when_its_last_block_has_gone),
		cmocka_unit_test(a_saturated_cell_asks_for_ever),
		cmocka_unit_test(the_neighbours_of_a_live_block_are_told_from_it),
		cmocka_unit_test(a_page_has_a_cell_of_its_own),
		cmocka_unit_test(a_full_table_says_so_and_loses_nothing),
		cmocka_unit_test(freed_entries_are_used_again),
		cmocka_unit_test(a_block_counts_for_its_size_times_its_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
