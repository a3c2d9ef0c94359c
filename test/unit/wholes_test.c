#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "fake/os_walled.h"
#include "sampler/random.h"
#include "sampler/wholes.h"

#define STACKS (1u << 16)
#define DEPTH  9

static struct wholes wholes;

static int begin(void **state)
{
	(void)state;
	return wholes_init(&wholes, STACKS);
}

static int end(void **state)
{
	(void)state;
	wholes_free(&wholes);
	return os_walled.live_bytes != 0;
}

static uint64_t hash_of(uint32_t id)
{
	return levels_hash(id);
}

/* Each word of it follows from the other. */
static struct whole entry(uint32_t id)
{
	return (struct whole){ id, ~id };
}

static void add_ids(uint32_t from, uint32_t to)
{
	for (uint32_t id = from; id < to; id++)
		wholes_add(&wholes, hash_of(id), entry(id));
}

/* How many of them are known.  What is found is never another's. */
static uint32_t count_known(uint32_t from, uint32_t to)
{
	uint32_t known = 0;

	for (uint32_t id = from; id < to; id++) {
		struct whole found = wholes_find(&wholes, hash_of(id));

		assert_true(found.id == 0 || found.id == id);
		assert_int_equal(found.stack_hash, found.id == 0 ? 0 : ~id);
		known += found.id == id;
	}
	return known;
}

/* --- the hash -------------------------------------------------------------------------------- */

/* Stacks of one program: from each the next by a change of one thing. */
static void whatever_differs_in_a_stack_is_in_its_hash(void **state)
{
	uintptr_t pc[DEPTH];
	uint64_t seen[2 + 3 * DEPTH + 48 * DEPTH + DEPTH * DEPTH];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < DEPTH; i++)
		pc[i] = 0x7f1234560000 + 0x10 * i;
	seen[n++] = wholes_hash(1, pc, DEPTH);
	seen[n++] = wholes_hash(2, pc, DEPTH);
	for (unsigned depth = 0; depth < DEPTH; depth++)
		seen[n++] = wholes_hash(1, pc, depth);
	for (unsigned i = 0; i < DEPTH; i++) {
		for (unsigned bit = 0; bit < 48; bit++) {
			pc[i] ^= UINT64_C(1) << bit;
			seen[n++] = wholes_hash(1, pc, DEPTH);
			pc[i] ^= UINT64_C(1) << bit;
		}
		/* Two that change places. */
		for (unsigned k = 0; k < i; k++) {
			uintptr_t was = pc[i];

			pc[i] = pc[k];
			pc[k] = was;
			seen[n++] = wholes_hash(1, pc, DEPTH);
			pc[k] = pc[i];
			pc[i] = was;
		}
	}
	assert_int_equal(seen[0], wholes_hash(1, pc, DEPTH));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			assert_true(seen[i] != seen[k]);
}

/* A recursion: stacks that differ only in how often what comes again.  Halves of the hash would
 * meet among so many, one in four times; all of it does in one of 2^31. */
static void stacks_of_few_addresses_have_hashes_of_their_own(void **state)
{
	static uint64_t seen[1u << 15];
	uintptr_t pc[16];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(seen); i++) {
		for (unsigned k = 0; k < 15; k++)
			pc[k] = 0x401000 + (i >> k & 1) * 8;
		seen[i] = wholes_hash(0, pc, 15);
	}
	wholes_free(&wholes);
	assert_int_equal(wholes_init(&wholes, COUNT_OF(seen) * 4), 0);
	for (uint32_t i = 0; i < COUNT_OF(seen); i++) {
		assert_int_equal(wholes_find(&wholes, seen[i]).id, 0);
		wholes_add(&wholes, seen[i], entry(i + 1));
	}
	for (uint32_t i = 0; i < COUNT_OF(seen); i++)
		assert_int_equal(wholes_find(&wholes, seen[i]).id, i + 1);
}

/* --- the table ------------------------------------------------------------------------------- */

static void what_was_added_is_found_until_it_is_cleared(void **state)
{
	(void)state;
	add_ids(1, 1000);
	assert_int_equal(count_known(1, 1000), 999);
	assert_int_equal(count_known(1000, 2000), 0);
	wholes_clear(&wholes);
	assert_int_equal(count_known(1, 2000), 0);
	add_ids(1, 10);
	assert_int_equal(count_known(1, 10), 9);
}

/* Hashes as a table that was cleared might hold them. */
static void nothing_is_found_where_nothing_is(void **state)
{
	static struct wholes zero;

	(void)state;
	assert_int_equal(wholes_find(&wholes, 0).id, 0);
	assert_int_equal(wholes_find(&wholes, UINT64_MAX).id, 0);
	assert_int_equal(wholes_find(&zero, 1).id, 0);
}

/* As two threads leave it that write to one entry at once. */
static void half_of_two_entries_is_neither(void **state)
{
	_Atomic(uint64_t) *word = NULL;
	uint64_t one[2];

	(void)state;
	wholes_add(&wholes, hash_of(1), entry(1));
	for (size_t i = 0; i < levels_words(&wholes.index); i++)
		if (wholes.index.words[i] != 0 && word == NULL)
			word = &wholes.index.words[i];
	assert_non_null(word);
	one[0] = word[0];
	one[1] = word[1];
	for (uint32_t id = 2; id < 1000; id++) {
		word[0] = hash_of(id) ^ id;
		word[1] = one[1];
		assert_int_equal(wholes_find(&wholes, hash_of(1)).id, 0);
		assert_int_equal(wholes_find(&wholes, hash_of(id)).id, 0);
		word[0] = one[0];
		word[1] = id;
		assert_int_equal(wholes_find(&wholes, hash_of(1)).id, 0);
		assert_int_equal(wholes_find(&wholes, hash_of(id)).id, 0);
	}
}

/* Ten times what there is room for: the last one is always there, and of all the room most is used
 * by somebody.  No chance in it: the hash is fixed. */
static void in_a_full_table_the_new_ones_are_known(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 10 * STACKS; id++) {
		wholes_add(&wholes, hash_of(id), entry(id));
		assert_int_equal(wholes_find(&wholes, hash_of(id)).id, id);
	}
	assert_in_range(count_known(1, 10 * STACKS), STACKS / 10 * 9, STACKS + 2048);
	/* Half of the last ones, at least: no place is kept back from them. */
	assert_true(count_known(9 * STACKS, 10 * STACKS) > STACKS / 2);
}

/* A small program: what it touches is not spread over the budget. */
static void a_few_stacks_are_in_a_few_pages(void **state)
{
	size_t first = LEVELS_FIRST * LEVELS_BUCKET;

	(void)state;
	add_ids(1, 300);
	for (size_t i = first; i < levels_words(&wholes.index); i++)
		assert_int_equal(wholes.index.words[i], 0);
}

static void the_budget_holds(void **state)
{
	static const size_t stacks[] = { 1, 2048, 5000, 1u << 16, 3000001 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(stacks); i++) {
		size_t before = os_walled.live_bytes;
		struct wholes w;

		assert_int_equal(wholes_init(&w, stacks[i]), 0);
		assert_in_range(os_walled.live_bytes - before, stacks[i] * 16,
				stacks[i] * 16 + LEVELS_FIRST * LEVELS_BUCKET * 8);
		for (uint32_t id = 1; id < 20000; id++)
			wholes_add(&w, hash_of(id), entry(id));
		wholes_free(&w);
		assert_int_equal(os_walled.live_bytes, before);
	}
}

static void a_refusal_of_memory_leaves_it_as_it_was(void **state)
{
	struct wholes w = { .index = { .count = 7 } };

	(void)state;
	os_walled.fail_at = os_walled.calls + 1;
	assert_int_equal(wholes_init(&w, STACKS), -ENOMEM);
	os_walled.fail_at = 0;
	assert_int_equal(w.index.count, 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whatever_differs_in_a_stack_is_in_its_hash),
		TEST(stacks_of_few_addresses_have_hashes_of_their_own),
		TEST(what_was_added_is_found_until_it_is_cleared),
		TEST(nothing_is_found_where_nothing_is),
		TEST(half_of_two_entries_is_neither),
		TEST(in_a_full_table_the_new_ones_are_known),
		TEST(a_few_stacks_are_in_a_few_pages),
		TEST(the_budget_holds),
		TEST(a_refusal_of_memory_leaves_it_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
