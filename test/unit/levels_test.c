#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fake/os_walled.h"
#include "sampler/levels.h"

/* From nothing to 8 GiB of address space. */
static const size_t sizes[] = {
	0, 1, 4095, 4096, 4097, 8191, 8192, 12287, 12288, 40000, 150000, 299593, 2396737, 10000000,
	1u << 27, 153391689, (1u << 30) + 7,
};

static size_t mapped_before;

static struct levels made(size_t words)
{
	struct levels l;

	mapped_before = os_walled.live_bytes;
	assert_int_equal(levels_init(&l, words), 0);
	return l;
}

static void gone(struct levels *l)
{
	os_unmap((void *)(uintptr_t)l->words, os_walled.live_bytes - mapped_before);
}

static void levels_follow_each_other_without_a_gap(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct levels l = made(sizes[i]);
		size_t before = 0;

		assert_in_range(l.count, 1, LEVELS_MAX);
		for (unsigned n = 0; n < l.count; n++) {
			assert_int_equal(l.before[n], before);
			before += l.buckets[n];
		}
		assert_int_equal(levels_words(&l), before * LEVELS_BUCKET);
		gone(&l);
	}
}

static void each_level_is_eight_times_the_one_before_but_for_the_last(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct levels l = made(sizes[i]);
		size_t want = LEVELS_FIRST;

		for (unsigned n = 0; n + 1 < l.count; n++, want *= 8)
			assert_int_equal(l.buckets[n], want);
		if (l.count > 1)
			assert_true(l.buckets[l.count - 1] >= l.buckets[l.count - 2]);
		gone(&l);
	}
}

static void the_budget_is_used_up_and_not_exceeded(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		size_t least = LEVELS_FIRST * LEVELS_BUCKET;
		size_t want = sizes[i] < least ? least : sizes[i] / LEVELS_BUCKET * LEVELS_BUCKET;
		struct levels l = made(sizes[i]);

		assert_int_equal(levels_words(&l), want);
		gone(&l);
	}
}

/* The mapping ends at a wall: one word too far faults. */
static void every_bucket_is_inside_its_level_and_inside_the_mapping(void **state)
{
	uint64_t hash = 1;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct levels l = made(sizes[i]);

		for (unsigned n = 0; n < l.count; n++) {
			size_t first = l.before[n] * LEVELS_BUCKET;
			size_t last = first + (l.buckets[n] - 1) * LEVELS_BUCKET;

			for (unsigned c = 0; c < LEVELS_CHOICES; c++) {
				assert_int_equal(levels_bucket(&l, 0, n, c), first);
				assert_int_equal(levels_bucket(&l, UINT64_MAX, n, c), last);
			}
			l.words[first] = l.words[last + LEVELS_BUCKET - 1] = 1;
			for (int k = 0; k < 200; k++) {
				size_t at = levels_bucket(&l, hash = levels_hash(hash + 1), n,
							  (unsigned)k % LEVELS_CHOICES);

				assert_in_range(at, first, last);
				assert_int_equal(at % LEVELS_BUCKET, 0);
			}
		}
		gone(&l);
	}
}

/* As few levels as possible are looked at, so keys have to spread over the whole of each.  These
 * are as addresses are, 256 to a bucket on the average.  No chance in it: the hash is fixed. */
static void keys_in_a_row_spread_evenly(void **state)
{
	static unsigned in_bucket[LEVELS_CHOICES][LEVELS_FIRST];
	struct levels l = made(0);

	(void)state;
	for (uint64_t key = 0; key < 65536 * 16; key += 16)
		for (unsigned c = 0; c < LEVELS_CHOICES; c++)
			in_bucket[c][levels_bucket(&l, levels_hash(key), 0, c) / LEVELS_BUCKET]++;
	for (unsigned i = 0; i < LEVELS_FIRST; i++) {
		assert_in_range(in_bucket[0][i], 160, 352);
		assert_in_range(in_bucket[1][i], 160, 352);
	}
	gone(&l);
}

static bool is_number(const void *table, uint32_t id, const void *key)
{
	(void)table;
	return id == *(const uint32_t *)key;
}

static unsigned made_numbers;

static uint32_t make_number(void *table, const void *key)
{
	(void)table;
	made_numbers++;
	return *(const uint32_t *)key;
}

static const struct levels_table numbers = { is_number, make_number };

/* How many of the first n numbers found no room, and which was the first of them. */
static uint32_t fill(const struct levels *l, uint32_t n, uint32_t *first)
{
	uint32_t lost = 0;

	*first = n;
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t id = levels_intern(l, levels_hash(i), &numbers, NULL, &i);

		assert_true(id == 0 || id == i);
		if (id == 0 && lost++ == 0)
			*first = i;
	}
	return lost;
}

/* Tables have a word and a half for each row.  No chance in it: the hash is fixed. */
static void keys_find_room_until_half_of_the_words_are_in_use(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes) && sizes[i] < 12000000; i++) {
		struct levels l = made(sizes[i]);
		uint32_t n = (uint32_t)(levels_words(&l) / 3 * 2), first;

		assert_true(fill(&l, n, &first) <= 3 + n / 5000);
		assert_true(first >= n / 4 * 3);
		gone(&l);
	}
}

static void what_is_in_is_found_and_nothing_else(void **state)
{
	struct levels l = made(40000);
	uint32_t first;

	(void)state;
	fill(&l, 20000, &first);
	made_numbers = 0;
	for (uint32_t i = 1; i <= 40000; i++) {
		uint32_t found = levels_find(&l, levels_hash(i), &numbers, NULL, &i);

		assert_int_equal(found, i <= 20000 ? i : 0);
		if (i > 20000)
			continue;
		assert_int_equal(levels_intern(&l, levels_hash(i), &numbers, NULL, &i), i);
	}
	assert_int_equal(made_numbers, 0);
	levels_clear(&l);
	for (uint32_t i = 1; i <= 20000; i++)
		assert_int_equal(levels_find(&l, levels_hash(i), &numbers, NULL, &i), 0);
	gone(&l);
}

/* The first numbers of splitmix64 from seed 0 (Vigna's, prng.di.unimi.it). */
static void the_hash_is_the_one_it_says(void **state)
{
	(void)state;
	assert_true(levels_hash(UINT64_C(0x9e3779b97f4a7c15)) == UINT64_C(0xe220a8397b1dcdaf));
	assert_true(levels_hash(UINT64_C(0x3c6ef372fe94f82a)) == UINT64_C(0x6e789e6aa1b965f4));
	assert_true(levels_hash(UINT64_C(0xdaa66d2c7ddf743f)) == UINT64_C(0x06c45d188009454f));
}

static void without_memory_nothing_is_changed(void **state)
{
	struct levels l, before;

	(void)state;
	memset(&l, 0x5a, sizeof(l));
	before = l;
	os_walled.fail_at = os_walled.calls + 1;
	assert_int_equal(levels_init(&l, 4096), -ENOMEM);
	os_walled.fail_at = 0;
	assert_memory_equal(&l, &before, sizeof(l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_follow_each_other_without_a_gap),
		cmocka_unit_test(each_level_is_eight_times_the_one_before_but_for_the_last),
		cmocka_unit_test(the_budget_is_used_up_and_not_exceeded),
		cmocka_unit_test(every_bucket_is_inside_its_level_and_inside_the_mapping),
		cmocka_unit_test(keys_in_a_row_spread_evenly),
		cmocka_unit_test(keys_find_room_until_half_of_the_words_are_in_use),
		cmocka_unit_test(what_is_in_is_found_and_nothing_else),
		cmocka_unit_test(the_hash_is_the_one_it_says),
		cmocka_unit_test(without_memory_nothing_is_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
