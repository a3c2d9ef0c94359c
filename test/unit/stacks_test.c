#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/os_walled.h"
#include "sampler/random.h"
#include "sampler/stacks.h"
#include "fake/stacks_add.h"

#define BUDGET (1u << 20)

static struct stacks stacks;

static int begin(void **state)
{
	(void)state;
	return stacks_init(&stacks, BUDGET);
}

static int end(void **state)
{
	(void)state;
	stacks_free(&stacks);
	return os_walled.live_bytes != 0;
}

static uint32_t add(frame_t leaf, frame_t middle, frame_t root)
{
	frame_t frame[3] = { leaf, middle, root };

	return stacks_add(&stacks, frame, 3);
}

static void assert_frames(uint32_t id, const frame_t *want, unsigned depth)
{
	frame_t got[16];

	assert_int_equal(stacks_frames(&stacks, id, got, 16), depth);
	assert_memory_equal(got, want, depth * sizeof(*got));
}

static void the_same_stack_has_the_same_id(void **state)
{
	uint32_t id = add(1, 2, 3);

	(void)state;
	assert_int_not_equal(id, 0);
	assert_int_equal(add(1, 2, 3), id);
	assert_int_equal(stacks_nodes(&stacks), 3);
}

static void different_stacks_have_different_ids(void **state)
{
	/* Whatever two stacks may have in common: order, callers, leaves, all but the depth. */
	static const frame_t stack[][4] = {
		{ 1 }, { 2 }, { 1, 1 }, { 1, 2 }, { 2, 1 }, { 1, 1, 1 }, { 1, 2, 3 }, { 3, 2, 1 },
		{ 4, 2, 3 }, { 1, 4, 3 }, { 1, 2, 4 }, { 1, 1, 1, 1 }, { 1, 2, 3, 4 },
		/* The same address before and after a dlclose. */
		{ 1 | (frame_t)1 << 48, 2, 3 }, { 1 | (frame_t)2 << 48, 2, 3 },
	};
	uint32_t id[COUNT_OF(stack)];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(stack); i++) {
		unsigned depth = 0;

		while (depth < 4 && stack[i][depth] != 0)
			depth++;
		id[i] = stacks_add(&stacks, stack[i], depth);
		assert_int_not_equal(id[i], 0);
		assert_frames(id[i], stack[i], depth);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(id[i], id[k]);
	}
}

static void frames_come_back_leaf_first(void **state)
{
	static const frame_t want[] = { 0x10, 0x20, 0x30 };

	(void)state;
	assert_frames(add(0x10, 0x20, 0x30), want, 3);
}

static void of_a_deep_stack_come_as_many_frames_as_there_is_room_for(void **state)
{
	static const frame_t want[] = { 1, 2, 77 };
	frame_t got[3] = { 77, 77, 77 };

	(void)state;
	assert_int_equal(stacks_frames(&stacks, add(1, 2, 3), got, 2), 2);
	assert_memory_equal(got, want, sizeof(got));
	assert_int_equal(stacks_frames(&stacks, 0, got, 3), 0);
}

static void callers_in_common_are_stored_once(void **state)
{
	static const frame_t callers[] = { 2, 3 };
	uint32_t id = add(1, 2, 3);

	(void)state;
	assert_int_equal(stacks_nodes(&stacks), 3);
	assert_int_equal(stacks_add(&stacks, callers, 2), stacks.node[id].parent);
	add(4, 2, 3);
	assert_int_equal(stacks_nodes(&stacks), 4);
	add(1, 5, 3);
	assert_int_equal(stacks_nodes(&stacks), 6);
}

/* A node's hash is of its frame plus a multiple of its caller: these two are equal. */
static void stacks_with_the_same_hash_are_different_all_the_same(void **state)
{
	uint32_t first = stacks_child(&stacks, 0, 1), second = stacks_child(&stacks, 0, 2);
	frame_t other = 0x1000 + ((frame_t)first - second) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t a = stacks_child(&stacks, first, 0x1000);
	uint32_t b = stacks_child(&stacks, second, other);

	(void)state;
	assert_int_not_equal(a, b);
	assert_frames(a, (const frame_t[]){ 0x1000, 1 }, 2);
	assert_frames(b, (const frame_t[]){ other, 2 }, 2);
	assert_int_equal(stacks_child(&stacks, first, 0x1000), a);
	assert_int_equal(stacks_child(&stacks, second, other), b);
}

static void the_deepest_stack_fits(void **state)
{
	static frame_t frame[STACK_DEPTH_MAX], got[STACK_DEPTH_MAX + 1];
	uint32_t id;

	(void)state;
	for (unsigned i = 0; i < STACK_DEPTH_MAX; i++)
		frame[i] = 0x1000 + i;
	id = stacks_add(&stacks, frame, STACK_DEPTH_MAX);
	assert_int_equal(stacks_frames(&stacks, id, got, STACK_DEPTH_MAX + 1), STACK_DEPTH_MAX);
	assert_memory_equal(got, frame, sizeof(frame));
}

/* The stack number i: two frames of its own below one that eight share. */
static uint32_t add_number(uint64_t i)
{
	return add(levels_hash(2 * i + 1) >> 16, levels_hash(2 * i + 2) >> 16, i / 8 + 1);
}

static void a_full_table_says_so_and_loses_nothing(void **state)
{
	static uint32_t id[BUDGET / 16];
	uint32_t count = 0, full = 0, nodes;

	(void)state;
	for (uint64_t i = 0; i < COUNT_OF(id) && stacks_nodes(&stacks) < stacks.nodes_max - 1; i++)
		id[count++] = add_number(i);
	nodes = stacks_nodes(&stacks);
	for (uint64_t i = count; i < count + 1000u; i++)
		full += add_number(i) == 0;
	assert_int_equal(full, 1000);
	assert_int_equal(stacks_nodes(&stacks), nodes);
	for (uint64_t i = 0; i < count; i++) {
		frame_t want[3] = { levels_hash(2 * i + 1) >> 16, levels_hash(2 * i + 2) >> 16,
				    i / 8 + 1 };

		if (id[i] == 0)
			continue;
		assert_int_equal(add_number(i), id[i]);
		assert_frames(id[i], want, 3);
	}
}

/* A stack is lost as soon as the buckets of one of its nodes are full on all levels.  No chance in
 * it: the hash is fixed. */
static void the_index_holds_nearly_all_stacks_that_the_nodes_could(void **state)
{
	uint32_t lost = 0, added = 0;

	(void)state;
	for (; added < BUDGET && stacks_nodes(&stacks) < stacks.nodes_max - 1; added++) {
		lost += add_number(added) == 0;
		if (stacks_nodes(&stacks) < stacks.nodes_max / 4 * 3)
			assert_int_equal(lost, 0);
	}
	assert_in_range(added, stacks.nodes_max / 3, stacks.nodes_max);
	assert_true(lost <= added / 500);
}

/* What is cleared gives room again, and knows nothing of before. */
static void a_table_that_was_cleared_is_as_new(void **state)
{
	uint32_t id = add(1, 2, 3), first = 0;

	(void)state;
	for (uint64_t i = 0; stacks_nodes(&stacks) < stacks.nodes_max - 1; i++)
		(void)add_number(i);
	for (int round = 0; round < 2; round++) {
		wholes_add(&stacks.wholes, 77, (struct whole){ 1, 2 });
		stacks_clear(&stacks);
		assert_int_equal(wholes_find(&stacks.wholes, 77).id, 0);
		assert_int_equal(stacks_nodes(&stacks), 0);
		assert_int_equal(stacks_add(&stacks, (const frame_t[]){ 3 }, 1), 1);
		assert_int_equal(add(1, 2, 3), id);
		for (first = 0; add_number(first) != 0; first++)
			continue;
		assert_in_range(first, stacks.nodes_max / 3, stacks.nodes_max);
	}
}

/* Room that is kept back is as if it were not there, until it is given. */
static void no_more_nodes_are_in_use_than_there_is_room_for(void **state)
{
	(void)state;
	stacks.room = 3;
	assert_int_equal(add(1, 2, 3), 0);
	assert_int_equal(stacks_nodes(&stacks), 2);
	stacks.room = 4;
	assert_int_not_equal(add(1, 2, 3), 0);
}

static void stacks_of_two_tables_can_be_compared(void **state)
{
	static const frame_t frame[][4] = {
		{ 1, 2, 3 }, { 9, 2, 3 }, { 1, 9, 3 }, { 1, 2, 9 }, { 2, 3 }, { 1, 2, 3, 4 },
		{ 3, 2, 1 },
	};
	uint32_t id = add(1, 2, 3);
	struct stacks other;

	(void)state;
	assert_int_equal(stacks_init(&other, BUDGET), 0);
	for (size_t i = 0; i < COUNT_OF(frame); i++) {
		unsigned depth = frame[i][2] == 0 ? 2 : frame[i][3] == 0 ? 3 : 4;
		uint32_t there = stacks_add(&other, frame[i], depth);
		uint32_t here = stacks_add(&stacks, frame[i], depth);

		assert_true(stacks_same(&stacks, here, &other, there));
		assert_true(stacks_same(&stacks, here, &stacks, here));
		assert_int_equal(stacks_same(&stacks, id, &other, there), i == 0);
		assert_int_equal(stacks_same(&stacks, id, &stacks, here), i == 0);
		assert_int_equal(stacks_hash(&stacks, here), stacks_hash(&other, there));
		if (i > 0)
			assert_int_not_equal(stacks_hash(&stacks, here), stacks_hash(&stacks, id));
	}
	stacks_free(&other);
}

static void the_budget_holds(void **state)
{
	static const uint64_t budget[] = { 1u << 17, 1u << 20, 999999, 20971520, 1ull << 32 };
	size_t least_indexes = 2 * LEVELS_FIRST * LEVELS_BUCKET * 8;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(budget); i++) {
		struct stacks s;
		size_t before = os_walled.live_bytes;

		assert_int_equal(stacks_init(&s, budget[i]), 0);
		assert_true(os_walled.live_bytes - before <= budget[i] + least_indexes);
		assert_true(os_walled.live_bytes - before >= budget[i] / 100 * 99);
		/* The last node is inside: behind it is a wall. */
		s.node[s.nodes_max - 1].hash = 1;
		stacks_free(&s);
		assert_int_equal(os_walled.live_bytes, before);
	}
}

static void any_refusal_of_memory_leaves_nothing_behind(void **state)
{
	size_t before = os_walled.live_bytes;
	struct stacks s = { .nodes_max = 77 };

	(void)state;
	for (unsigned nth = 1; nth <= 3; nth++) {
		os_walled.fail_at = os_walled.calls + nth;
		assert_int_equal(stacks_init(&s, BUDGET), -ENOMEM);
		assert_int_equal(os_walled.live_bytes, before);
		assert_int_equal(s.nodes_max, 77);
		assert_null(s.node);
	}
	os_walled.fail_at = 0;
}

static void a_table_that_was_never_made_is_full(void **state)
{
	static struct stacks zero;
	frame_t frame = 1;

	(void)state;
	assert_int_equal(stacks_add(&zero, &frame, 1), 0);
	assert_int_equal(stacks_nodes(&zero), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_stack_has_the_same_id),
		TEST(different_stacks_have_different_ids),
		TEST(frames_come_back_leaf_first),
		TEST(of_a_deep_stack_come_as_many_frames_as_there_is_room_for),
		TEST(callers_in_common_are_stored_once),
		TEST(stacks_with_the_same_hash_are_different_all_the_same),
		TEST(the_deepest_stack_fits),
		TEST(a_full_table_says_so_and_loses_nothing),
		TEST(the_index_holds_nearly_all_stacks_that_the_nodes_could),
		TEST(a_table_that_was_cleared_is_as_new),
		TEST(no_more_nodes_are_in_use_than_there_is_room_for),
		TEST(stacks_of_two_tables_can_be_compared),
		TEST(the_budget_holds),
		TEST(any_refusal_of_memory_leaves_nothing_behind),
		TEST(a_table_that_was_never_made_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
