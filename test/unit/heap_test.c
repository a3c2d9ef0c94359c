/* What is sampled, and what it counts for.  What is given up: heap_drops_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "fake/heap_doors.h"
#include "fake/single_step.h"
#include "fake/odds.h"
#include "sampler/compiler.h"
#include "sampler/heap_sizes.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/thread_names.h"

#define ONE ((uint64_t)RANDOM_WEIGHT_ONE)

static struct heap_totals before;

static int begin(void **state)
{
	(void)state;
	before = heap_totals_of(0);
	draw_anew(1);
	return 0;
}

static void assert_grown_by(uint64_t objects, uint64_t bytes, uint64_t freed, uint64_t freed_bytes)
{
	struct heap_totals t = heap_totals_since(&before);

	assert_int_equal(t.value[HEAP_ALLOC_OBJECTS], objects * ONE);
	assert_int_equal(t.value[HEAP_ALLOC_BYTES], bytes);
	assert_int_equal(t.value[HEAP_ALLOC_RAW], objects);
	assert_int_equal(t.value[HEAP_ALLOC_RAW_BYTES], bytes);
	assert_int_equal(t.value[HEAP_FREE_OBJECTS], freed * ONE);
	assert_int_equal(t.value[HEAP_FREE_BYTES], freed_bytes);
	assert_int_equal(t.value[HEAP_FREE_RAW], freed);
	assert_int_equal(t.value[HEAP_FREE_RAW_BYTES], freed_bytes);
}

/* --- every allocation ------------------------------------------------------------------------ */

static void at_rate_1_every_allocation_counts_exactly(void **state)
{
	uint64_t bytes = 0, half = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++, bytes += i)
		door_gives(block_at(i), i + 1);
	assert_grown_by(1000, bytes, 0, 0);
	for (uint64_t i = 0; i < 1000; i += 2) {
		door_takes(block_at(i));
		half += i + 1;
	}
	assert_grown_by(1000, bytes, 500, half);
	for (uint64_t i = 1; i < 1000; i += 2)
		door_takes(block_at(i));
	assert_grown_by(1000, bytes, 1000, bytes);
}

/* Readers take objects without bytes for an error. */
static void a_block_of_no_bytes_is_an_object_of_one(void **state)
{
	(void)state;
	door_gives(block_at(0), 0);
	assert_grown_by(1, 1, 0, 0);
	door_takes(block_at(0));
	assert_grown_by(1, 1, 1, 1);
}

static void the_largest_size_there_is_counts_like_any_other(void **state)
{
	(void)state;
	door_gives(block_at(0), SIZE_MAX);
	assert_grown_by(1, SIZE_MAX, 0, 0);
	door_takes(block_at(0));
	assert_grown_by(1, SIZE_MAX, 1, SIZE_MAX);
	draw_anew(512 << 10);
	door_gives(block_at(0), SIZE_MAX / 2);
	door_takes(block_at(0));
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 2);
	assert_int_equal(heap_totals_since(&before).value[HEAP_FREE_OBJECTS], 2 * ONE);
}

static void what_malloc_refused_counts_for_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		door_gives(NULL, i * 1000);
	assert_grown_by(0, 0, 0, 0);
	/* And what comes then is counted as ever. */
	door_gives(block_at(0), 10);
	door_takes(block_at(0));
	assert_grown_by(1, 10, 1, 10);
}

static unsigned torn;

static void give_and_take(void)
{
	door_gives(block_at(0), 3000);
	door_takes(block_at(0));
}

static void look_at_all_rows(void)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;

	for (uint32_t row = 1; row < sites_end(&heap_table.sites); row++)
		if (sites_read(&heap_table.sites, row, &key, value))
			torn += !heap_whole(value);
}

/* A profile may be read at any of them. */
static void at_no_instruction_is_half_a_block_counted(void **state)
{
	unsigned steps;

	(void)state;
	if (!SINGLE_STEP_WORKS)
		skip();
	torn = 0;
	steps = single_step_through(give_and_take, look_at_all_rows);
	assert_grown_by(1, 3000, 1, 3000);
	assert_true(steps > 500);
	assert_int_equal(torn, 0);
}

/* --- the site -------------------------------------------------------------------------------- */

static void a_site_is_of_a_size_or_of_its_class(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 20, 21, 24, 25, 32, 33, 40, 41, 1000,
					1024, 1025, 4096, 5120, 5121, 1000000, (1u << 30) + 1,
					UINT32_MAX / 2, (size_t)UINT32_MAX / 2 + 1, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		uint64_t value[SITES_VALUES], n = sizes[i];
		struct heap_block b;
		struct site_key key;

		door_gives(block_at(0), n);
		heap_take(block_at(0), &b);
		assert_true(sites_read(&heap_table.sites, b.row, &key, value));
		assert_true(b.size == (n != 0 ? n : 1));
		if (key.size == b.size)
			continue;
		if (n > UINT32_MAX / 2)
			assert_int_equal(key.size, UINT32_MAX);
		else
			assert_int_equal(key.size, heap_sizes_class((uint32_t)b.size));
	}
}

static void a_block_was_born_at_the_latest_when_it_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t began = os_monotonic_ns();
		struct heap_block b;

		door_gives(block_at(0), 100);
		heap_take(block_at(0), &b);
		/* Whole seconds, and this is later in each. */
		assert_true(heap_birth_ns(&b) > began);
		assert_true(heap_birth_ns(&b) <= os_monotonic_ns() + 1000000000);
		while (os_monotonic_ns() < began + 61000000)
			;
	}
}

/* The doors, the test and the ground are one mapping here: of their frames none may be left. */
static void a_sample_has_the_stack_of_its_caller(void **state)
{
	uint64_t value[SITES_VALUES];
	frame_t frame[STACK_DEPTH_DEFAULT];
	struct heap_block b;
	struct site_key key;
	unsigned depth, in_libc = 0, in_cmocka = 0;

	(void)state;
	door_gives(block_at(0), 10);
	heap_take(block_at(0), &b);
	assert_true(sites_read(&heap_table.sites, b.row, &key, value));
	depth = generations_frames(&heap_table, key.stack, frame, COUNT_OF(frame));
	assert_in_range(depth, 2, COUNT_OF(frame));
	for (unsigned i = 0; i < depth; i++) {
		const struct module *m = modules_find(frame[i]);

		assert_false(modules_is_ours(frame_pc(frame[i])));
		assert_non_null(m);
		in_libc += strstr(m->path, "libc.so") != NULL;
		in_cmocka += strstr(m->path, "libcmocka") != NULL;
	}
	assert_true(in_libc > 0 && in_cmocka > 0);
	assert_string_equal(thread_names_get(key.thread), thread_names_get(self.name));
	assert_int_equal(key.labels, self.labels);
}

static void sites_are_told_apart_by_thread_and_labels(void **state)
{
	uint16_t name = self.name;
	struct heap_block first, second, third;

	(void)state;
	door_gives(block_at(1), 10);
	self.name = name + 1;
	door_gives(block_at(2), 10);
	self.labels = 3;
	door_gives(block_at(3), 10);
	self.name = name;
	self.labels = 0;
	heap_take(block_at(1), &first);
	heap_take(block_at(2), &second);
	heap_take(block_at(3), &third);
	assert_true(first.row != second.row && second.row != third.row && third.row != first.row);
}

/* --- a realloc ------------------------------------------------------------------------------- */

static void a_block_can_be_taken_and_put_back(void **state)
{
	struct heap_block b;

	(void)state;
	door_gives(block_at(7), 100);
	heap_take(block_at(7), &b);
	assert_true(b.size == 100 && b.weight == ONE && b.row != 0);
	door_takes(block_at(7));
	assert_grown_by(1, 100, 0, 0);
	heap_put_back(block_at(7), &b);
	door_takes(block_at(7));
	assert_grown_by(1, 100, 1, 100);
}

static void a_block_can_be_taken_and_counted_as_freed(void **state)
{
	struct heap_block b;

	(void)state;
	door_gives(block_at(7), 100);
	heap_take(block_at(7), &b);
	heap_freed(&b);
	assert_grown_by(1, 100, 1, 100);
	door_takes(block_at(7));
	assert_grown_by(1, 100, 1, 100);
}

static void what_was_not_sampled_is_neither_freed_nor_put_back(void **state)
{
	struct heap_block b = { .row = 77 };

	(void)state;
	heap_take(block_at(7), &b);
	assert_int_equal(b.row, 0);
	heap_freed(&b);
	heap_put_back(block_at(7), &b);
	assert_true(heap_is_unsampled(block_at(7)));
	heap_forget(block_at(7));
	heap_forget(NULL);
	assert_grown_by(0, 0, 0, 0);
}

/* --- chance ---------------------------------------------------------------------------------- */

#define RATE 4096
#define EACH 100000     /* allocations of each size */

/* With n allocations of a size, each is sampled with p = 1 - exp(-size / rate), independently, and
 * then stands for 1 / p: the estimate's mean is n, its variance n (1 - p) / p, each term at most 1
 * / p. Fails by chance once in 1e11 runs (odds.h). */
static void check_estimate(size_t size, const struct heap_totals *t)
{
	double p = -expm1(-(double)size / RATE), n = EACH;
	double most = odds_of_sum(n * (1 - p) / p, 1 / p) + n / RANDOM_WEIGHT_ONE;
	double objects = (double)t->value[HEAP_ALLOC_OBJECTS] / RANDOM_WEIGHT_ONE;
	double bytes = (double)t->value[HEAP_ALLOC_BYTES];

	if (fabs(objects - n) > most || fabs(bytes - n * (double)size) > most * (double)size)
		fail_msg("size %zu: %g objects, %g bytes; not %g, %g, +- %g", size, objects, bytes,
			 n, n * (double)size, most);
	/* What is given back is exactly what was counted. */
	assert_true(t->value[HEAP_ALLOC_OBJECTS] == t->value[HEAP_FREE_OBJECTS]);
	assert_true(t->value[HEAP_ALLOC_BYTES] == t->value[HEAP_FREE_BYTES]);
}

static void estimates_are_right_for_every_size(void **state)
{
	static const struct { size_t size; uint32_t class; } kinds[] = {
		{ 48, 48 }, { 200, 224 }, { 770, 896 }, { 2100, 2560 }, { 6200, 7168 },
		{ 13000, 14336 },
	};
	struct heap_totals was[COUNT_OF(kinds)], is;

	(void)state;
	for (size_t k = 0; k < COUNT_OF(kinds); k++)
		was[k] = heap_totals_of(kinds[k].class);
	draw_anew(RATE);
	for (unsigned i = 0; i < EACH; i++)
		for (size_t k = 0; k < COUNT_OF(kinds); k++) {
			door_gives(block_at(k), kinds[k].size);
			door_takes(block_at(k));
		}
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		is = heap_totals_of(kinds[k].class);
		for (unsigned v = 0; v < SITES_VALUES; v++)
			is.value[v] -= was[k].value[v];
		check_estimate(kinds[k].size, &is);
	}
}

/* Gaps longer than HEAP_CHECK_IN_BYTES are walked in pieces, and most allocations are smaller than
 * a piece: chance must not notice.  As above. */
static void estimates_are_right_where_gaps_are_long(void **state)
{
	const double rate = 1 << 20, size = 100000, n = 200000;
	double p = -expm1(-size / rate);
	double most = odds_of_sum(n * (1 - p) / p, 1 / p) + n / RANDOM_WEIGHT_ONE;
	double objects;

	(void)state;
	draw_anew(1 << 20);
	for (unsigned i = 0; i < (unsigned)n; i++) {
		door_gives(block_at(1), (size_t)size);
		door_takes(block_at(1));
	}
	objects = (double)heap_totals_since(&before).value[HEAP_ALLOC_OBJECTS] / RANDOM_WEIGHT_ONE;
	if (fabs(objects - n) > most)
		fail_msg("%g objects, not %g +- %g", objects, n, most);
}

/* --- the rate -------------------------------------------------------------------------------- */

static void at_rate_0_nothing_is_sampled_and_little_is_asked(void **state)
{
	unsigned asked = 0;

	(void)state;
	draw_anew(0);
	for (unsigned i = 0; i < 1000000; i++) {
		asked += self.heap_left <= 100;
		door_gives(block_at(i), 100);
	}
	assert_grown_by(0, 0, 0, 0);
	assert_true(asked <= 1 + 100 * 1000000 / (HEAP_CHECK_IN_BYTES - 100));
	assert_int_equal(heap_rate(), 0);
}

/* Bytes until something is sampled. */
static uint64_t bytes_until_sampled(void)
{
	uint64_t bytes = 0, already = heap_totals_of(0).value[HEAP_ALLOC_RAW];

	while (heap_totals_of(0).value[HEAP_ALLOC_RAW] == already && bytes < 1u << 24) {
		door_gives(block_at(1), 512);
		door_takes(block_at(1));
		bytes += 512;
	}
	return bytes;
}

static void a_new_rate_is_followed_within_a_check_in(void **state)
{
	static const uint64_t old_rates[] = { 0, 512 << 10, 1 << 30, UINT64_C(1) << 40 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(old_rates); i++)
		for (unsigned round = 0; round < 20; round++) {
			draw_anew(old_rates[i]);
			door_gives(block_at(1), 1);
			door_takes(block_at(1));
			heap_set_rate(1);
			assert_true(bytes_until_sampled() <= HEAP_CHECK_IN_BYTES + 512);
		}
}

static void off_is_followed_within_a_check_in(void **state)
{
	uint64_t sampled;

	(void)state;
	draw_anew(1);
	door_gives(block_at(1), 10);
	heap_set_rate(0);
	for (unsigned i = 0; i < HEAP_CHECK_IN_BYTES / 512; i++)
		door_gives(block_at(1), 512);
	sampled = heap_totals_since(&before).value[HEAP_ALLOC_RAW];
	assert_true(sampled <= 2);
	for (unsigned i = 0; i < 10000; i++)
		door_gives(block_at(1), 512);
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], sampled);
	door_takes(block_at(1));
}

/* A sample counts with the rate that it was drawn for, whatever the rate is by then. */
static void a_gap_keeps_the_rate_it_was_drawn_for(void **state)
{
	struct heap_block b;

	(void)state;
	draw_anew(4096);
	door_gives(block_at(1), 0);
	assert_int_equal(self.heap_rate, 4096);
	heap_set_rate(1 << 20);
	door_gives(block_at(1), 150000);
	heap_take(block_at(1), &b);
	assert_true(b.row != 0 && b.weight == random_weight(150000, 4096));
	assert_int_equal(self.heap_rate, 1 << 20);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(at_rate_1_every_allocation_counts_exactly),
		TEST(a_block_of_no_bytes_is_an_object_of_one),
		TEST(the_largest_size_there_is_counts_like_any_other),
		TEST(what_malloc_refused_counts_for_nothing),
		TEST(at_no_instruction_is_half_a_block_counted),
		TEST(a_block_was_born_at_the_latest_when_it_says),
		TEST(a_site_is_of_a_size_or_of_its_class),
		TEST(a_sample_has_the_stack_of_its_caller),
		TEST(sites_are_told_apart_by_thread_and_labels),
		TEST(a_block_can_be_taken_and_put_back),
		TEST(a_block_can_be_taken_and_counted_as_freed),
		TEST(what_was_not_sampled_is_neither_freed_nor_put_back),
		TEST(estimates_are_right_for_every_size),
		TEST(estimates_are_right_where_gaps_are_long),
		TEST(at_rate_0_nothing_is_sampled_and_little_is_asked),
		TEST(a_new_rate_is_followed_within_a_check_in),
		TEST(off_is_followed_within_a_check_in),
		TEST(a_gap_keeps_the_rate_it_was_drawn_for),
	};

	if (heap_doors_begin() < 0 || heap_init(64u << 20) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
