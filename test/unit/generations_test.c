#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/made_samples.h"
#include "fake/os_walled.h"

#define BUDGET (1u << 19)

static const struct generations_kind kind = {
	.rows_eighths = 2, .reclaim_eighths = 6, .samples_eighths = 8, .evicted = COUNT_REASONS,
};

static struct generations table;

static int begin(void **state)
{
	(void)state;
	return generations_init(&table, &kind, BUDGET);
}

static int end(void **state)
{
	(void)state;
	generations_free(&table);
	return os_walled.live_bytes != 0;
}

static uint32_t sample(frame_t leaf, frame_t middle, frame_t root, struct site_key *key)
{
	frame_t frame[3] = { leaf, middle, root };

	return made_sample(&table, frame, 3, key);
}

static void next_generation(void)
{
	assert_true(generations_next(&table, generations_now(&table)));
}

/* What our thread does in the end. */
static void clear_other(void)
{
	uint64_t now = generations_now(&table);
	struct generation *other = &table.generation[(generations_number(now) & 1) ^ 1];

	levels_clear(&other->index);
	stacks_clear(&other->stacks);
	other->rows = 0;
	table.now = generations_number(now) << 2 | GENERATIONS_CLEAR;
}

static void assert_frames(uint32_t stack, const frame_t *want, unsigned depth)
{
	frame_t got[8];

	assert_int_equal(generations_frames(&table, stack, got, COUNT_OF(got)), depth);
	assert_memory_equal(got, want, depth * sizeof(*got));
}

static void each_part_of_a_key_tells_sites_apart(void **state)
{
	static const struct { frame_t leaf; struct site_key key; } site[] = {
		{ 1, { 0, 2, 3, 4, 0 } }, { 9, { 0, 2, 3, 4, 0 } }, { 1, { 0, 9, 3, 4, 0 } },
		{ 1, { 0, 2, 9, 4, 0 } }, { 1, { 0, 2, 3, 9, 0 } }, { 1, { 0, 2, 4, 3, 0 } },
		{ 1, { 0, UINT32_MAX, UINT16_MAX, UINT16_MAX, 0 } },
	};
	uint32_t row[COUNT_OF(site)];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(site); i++) {
		struct site_key key = site[i].key, got;
		uint64_t value[SITES_VALUES];

		row[i] = sample(site[i].leaf, 2, 3, &key);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(row[i], row[k]);
		assert_true(sites_read(&table.sites, row[i], &got, value));
		assert_memory_equal(&got, &key, sizeof(key));
	}
	/* The same again: also in the next generation. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT_OF(site); i++) {
			struct site_key key = site[i].key;

			assert_int_equal(sample(site[i].leaf, 2, 3, &key), row[i]);
			assert_frames(key.stack, (const frame_t[]){ site[i].leaf, 2, 3 }, 3);
		}
		if (round == 0)
			next_generation();
	}
	assert_int_equal(generations_sites(&table), COUNT_OF(site));
}

/* Who knows the hash of the stack already spares the table a look at it. */
static void a_known_hash_leads_to_the_same_row(void **state)
{
	struct site_key key = { .size = 5 };
	uint32_t row = sample(1, 2, 3, &key);
	uint64_t now = generations_now(&table);

	(void)state;
	key.stack_hash = stacks_hash(&generations_at(&table, now)->stacks, key.stack);
	assert_int_equal(generations_find(&table, now, &key), row);
	key.stack_hash ^= 2;
	generations_look_ahead(&table, now, &key);
	assert_int_equal(generations_find(&table, now, &key), 0);
}

/* The index is asked by a hash of the stack, which others may share, up to the whole of it. */
static void a_stack_of_the_same_hash_is_another_site(void **state)
{
	struct site_key key = { 0 }, other = key;
	uint32_t row = sample(1, 2, 3, &key), there;
	struct stacks *s;

	(void)state;
	next_generation();
	s = &generations_at(&table, generations_now(&table))->stacks;
	there = stacks_add(s, (const frame_t[]){ 4, 2, 3 }, 3);
	s->node[there].hash = stacks_hash(&table.generation[0].stacks, key.stack);
	assert_int_not_equal(sample(4, 2, 3, &other), row);
	assert_int_equal(sample(1, 2, 3, &key), row);
}

static void what_is_met_again_takes_its_counters_along(void **state)
{
	struct site_key key = { 0 };
	uint32_t row = sample(1, 2, 3, &key);
	uint64_t value[SITES_VALUES];

	(void)state;
	for (unsigned n = 1; n < 10; n++) {
		sites_add(&table.sites, row, 0, 5, 50);
		next_generation();
		assert_int_equal(sample(1, 2, 3, &key), row);
		assert_int_equal(key.stack >> GENERATIONS_BIT, n & 1);
		clear_other();
		assert_frames(key.stack, (const frame_t[]){ 1, 2, 3 }, 3);
		assert_true(sites_read(&table.sites, row, &key, value));
		assert_int_equal(value[0], 5 * n);
	}
}

static void nobody_looks_at_a_generation_that_is_closed(void **state)
{
	struct site_key key = { 0 };
	uint32_t row = sample(1, 2, 3, &key);

	(void)state;
	next_generation();
	table.now = generations_number(table.now) << 2 | GENERATIONS_CLOSED;
	assert_int_not_equal(sample(1, 2, 3, &key), row);
}

static void the_next_generation_comes_only_when_it_is_clear(void **state)
{
	uint64_t first = generations_now(&table), second;

	(void)state;
	assert_true(generations_next(&table, first));
	second = generations_now(&table);
	assert_int_equal(generations_number(second), 1);
	/* Who comes late with the first finds that there is a second. */
	assert_true(generations_next(&table, first));
	assert_int_equal(generations_now(&table), second);
	assert_false(generations_next(&table, second));
	clear_other();
	assert_true(generations_next(&table, generations_now(&table)));
	assert_int_equal(generations_number(generations_now(&table)), 2);
}

/* Few frames, many sites: rows are shared, and each generation has half of them. */
static void a_generation_is_full_with_half_of_the_rows(void **state)
{
	uint32_t in[2] = { 0, 0 }, evicted = 0;

	(void)state;
	for (frame_t i = 1; evicted < 1000; i++) {
		struct site_key key = { 0 };

		if (sample(i << 20, 2, 3, &key) == GENERATIONS_NO_ROOM)
			evicted++;
		else
			in[key.stack >> GENERATIONS_BIT]++;
	}
	assert_int_equal(in[0], table.sites.rows_max / 2);
	assert_in_range(in[1], table.sites.rows_max / 2 - 4, table.sites.rows_max / 2);
}

/* Twice what fits into one. */
static void when_one_is_full_samples_go_into_the_other_and_then_to_evicted(void **state)
{
	uint32_t in[2] = { 0, 0 }, evicted = 0;

	(void)state;
	for (frame_t i = 1; evicted < 1000; i++) {
		struct site_key key = { 0 };
		frame_t frame[12];

		/* As a compiler's. */
		for (unsigned k = 0; k < COUNT_OF(frame); k++)
			frame[k] = i << 20 | k;
		if (made_sample(&table, frame, COUNT_OF(frame), &key) == GENERATIONS_NO_ROOM)
			evicted++;
		else
			in[key.stack >> GENERATIONS_BIT]++;
	}
	assert_true(in[0] > 520 && in[1] > 520);
	assert_int_equal(generations_sites(&table), in[0] + in[1]);
}

static void evicted_has_a_stack_of_one_frame(void **state)
{
	frame_t frame = FRAME_EVICTED;
	uint64_t value[SITES_VALUES];
	struct site_key key;

	(void)state;
	assert_int_equal(generations_sites(&table), 0);
	for (uint32_t row = GENERATIONS_NO_ROOM; row <= GENERATIONS_EVICTED; row++) {
		assert_true(sites_read(&table.sites, row, &key, value));
		assert_int_equal(key.stack, GENERATIONS_STACK_EVICTED);
		assert_frames(key.stack, &frame, 1);
	}
	assert_int_equal(generations_frames(&table, key.stack, NULL, 0), 0);
}

static void the_budget_holds(void **state)
{
	static const uint64_t budget[] = { 1u << 19, 1u << 22, 9999999, 1ull << 33 };
	size_t least_indexes = 6 * LEVELS_FIRST * LEVELS_BUCKET * 8;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(budget); i++) {
		size_t before = os_walled.live_bytes;
		struct generations g;

		assert_int_equal(generations_init(&g, &kind, budget[i]), 0);
		assert_true(os_walled.live_bytes - before <= budget[i] + least_indexes);
		assert_true(os_walled.live_bytes - before >= budget[i] / 100 * 99);
		generations_free(&g);
		assert_int_equal(os_walled.live_bytes, before);
	}
}

static void any_refusal_of_memory_leaves_nothing_behind(void **state)
{
	size_t before = os_walled.live_bytes;
	struct generations g;
	unsigned nth;

	(void)state;
	for (nth = 1;; nth++) {
		int err;

		os_walled.fail_at = os_walled.calls + nth;
		err = generations_init(&g, &kind, BUDGET);
		os_walled.fail_at = 0;
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(os_walled.live_bytes, before);
		assert_null(g.kind);
	}
	assert_int_equal(nth, 11);
	generations_free(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_part_of_a_key_tells_sites_apart),
		TEST(a_known_hash_leads_to_the_same_row),
		TEST(a_stack_of_the_same_hash_is_another_site),
		TEST(what_is_met_again_takes_its_counters_along),
		TEST(nobody_looks_at_a_generation_that_is_closed),
		TEST(the_next_generation_comes_only_when_it_is_clear),
		TEST(a_generation_is_full_with_half_of_the_rows),
		TEST(when_one_is_full_samples_go_into_the_other_and_then_to_evicted),
		TEST(evicted_has_a_stack_of_one_frame),
		TEST(the_budget_holds),
		TEST(any_refusal_of_memory_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
