/* The list of ranges beside a model: one entry for each page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "sampler/mapped_ranges.h"
#include "sampler/random.h"

#define PAGES   256
#define PAGE    UINT64_C(4096)
#define BASE    UINT64_C(0x7f0000000000)
#define OBJECTS 100000          /* rows are objects here: one row for each */
#define RANGES  64

static struct mapped_ranges ranges;
static void *memory;

/* The object of each page, 0 none; and what was said to be gone. */
static uint32_t model[PAGES];
static uint64_t born[OBJECTS], value[OBJECTS][MAPPED_RANGES_VALUES];
static uint64_t events_done;

#define gone_objects(row) value[row][2]
#define gone_bytes(row)   value[row][3]

static void read_row(uint32_t row, uint64_t out[MAPPED_RANGES_VALUES])
{
	memcpy(out, value[row], sizeof(value[row]));
}

static void raise_row(uint32_t row, const uint64_t to[MAPPED_RANGES_VALUES])
{
	memcpy(value[row], to, sizeof(value[row]));
}

static void end_event(uint64_t event)
{
	events_done = event;
}

static const struct mapped_ranges_world world = { read_row, raise_row, end_event };

static int begin(void **state)
{
	(void)state;
	memory = calloc(RANGES + 1, MAPPED_RANGE_BYTES);
	assert_non_null(memory);
	mapped_ranges_init(&ranges, memory, RANGES, &world);
	memset(model, 0, sizeof(model));
	memset(born, 0, sizeof(born));
	memset(value, 0, sizeof(value));
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static uintptr_t page(unsigned i)
{
	return BASE + i * PAGE;
}

static unsigned pages_of(uint32_t object)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PAGES; i++)
		n += model[i] == object;
	return n;
}

/* How many ranges the model has: neighbours of two objects are two. */
static unsigned pieces(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PAGES; i++)
		n += model[i] != 0 && (i == 0 || model[i] != model[i - 1]);
	return n;
}

static void remove_pages(unsigned from, unsigned to, uint64_t before)
{
	mapped_ranges_remove(&ranges, page(from), page(to), before);
	for (unsigned i = from; i < to; i++)
		if (born[model[i]] < before)
			model[i] = 0;
}

static void add_pages(unsigned from, unsigned to, uint32_t object, uint64_t ticket)
{
	remove_pages(from, to, UINT64_MAX);
	assert_true(mapped_ranges_add(&ranges, page(from), page(to), object, ticket));
	assert_int_equal(events_done, ticket);
	assert_int_equal(value[object][0], 1);
	assert_int_equal(value[object][1], page(to) - page(from));
	born[object] = ticket;
	for (unsigned i = from; i < to; i++)
		model[i] = object;
}

static void assert_as_in_the_model(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t want = model[i] != 0 ? PAGE : 0;

		assert_int_equal(mapped_ranges_in(&ranges, page(i), page(i + 1)), want);
		bytes += want;
	}
	assert_int_equal(ranges.bytes, bytes);
	assert_int_equal(mapped_ranges_in(&ranges, 0, UINTPTR_MAX), bytes);
	assert_int_equal(ranges.live, pieces());
}

static void an_unmap_cuts_what_it_meets(void **state)
{
	(void)state;
	add_pages(10, 20, 1, 1);
	add_pages(20, 30, 2, 2);
	remove_pages(15, 25, 3);
	assert_as_in_the_model();
	assert_int_equal(gone_bytes(1), 5 * PAGE);
	assert_int_equal(gone_bytes(2), 5 * PAGE);
	remove_pages(12, 13, 4);        /* a hole */
	assert_as_in_the_model();
	assert_int_equal(ranges.live, 3);
	assert_int_equal(gone_objects(1) + gone_objects(2), 0);
	remove_pages(0, 14, 5);
	assert_int_equal(gone_objects(1), 0);
	remove_pages(14, 15, 6);
	assert_int_equal(gone_objects(1), 1);
	assert_int_equal(gone_bytes(1), 10 * PAGE);
	remove_pages(0, PAGES, 7);
	assert_int_equal(ranges.live, 0);
	assert_int_equal(ranges.bytes, 0);
}

static void what_is_younger_stays(void **state)
{
	(void)state;
	add_pages(10, 20, 1, 5);
	add_pages(30, 40, 2, 1);
	add_pages(40, 50, 3, 9);
	remove_pages(5, 60, 5);
	assert_as_in_the_model();
	assert_int_equal(pages_of(1), 10);
	assert_int_equal(pages_of(2), 0);
	assert_int_equal(pages_of(3), 10);
	/* Nor is it cut, from either side. */
	remove_pages(15, 45, 5);
	assert_as_in_the_model();
	assert_int_equal(ranges.live, 2);
}

static void a_full_table_says_so(void **state)
{
	uint64_t lost;

	(void)state;
	for (unsigned i = 0; i < RANGES; i++)
		add_pages(3 * i, 3 * i + 3, i + 1, i + 1);
	assert_false(mapped_ranges_add(&ranges, page(250), page(251), 1000, 1));
	assert_int_equal(value[1000][0], 1);
	assert_int_equal(value[1000][1], PAGE);
	assert_memory_equal(&value[1000][0], &value[1000][2], 2 * sizeof(uint64_t));
	assert_as_in_the_model();
	/* For a hole there is no second half. */
	mapped_ranges_remove(&ranges, page(31), page(32), UINT64_MAX);
	lost = gone_bytes(11);
	assert_int_equal(lost, 2 * PAGE);
	assert_int_equal(gone_objects(11), 0);
	assert_int_equal(mapped_ranges_in(&ranges, page(30), page(33)), PAGE);
	assert_int_equal(ranges.live, RANGES);
	model[31] = model[32] = 0;
	assert_as_in_the_model();
	remove_pages(0, PAGES, UINT64_MAX);
	for (unsigned i = 1; i <= RANGES; i++) {
		assert_int_equal(gone_objects(i), 1);
		assert_int_equal(gone_bytes(i), 3 * PAGE);
	}
	/* And all of it can be used again. */
	for (unsigned i = 0; i < RANGES; i++)
		add_pages(3 * i, 3 * i + 2, i + 100, i + 1);
	assert_as_in_the_model();
}

/* Some 2000 objects in 20,000 steps, each with all of them compared. */
static void as_a_model_says(void **state)
{
	uint64_t random = random_seed(20260101), step;
	uint32_t objects = 0;
	unsigned size[OBJECTS] = { 0 };

	(void)state;
	for (step = 1; step <= 20000; step++) {
		unsigned from = (unsigned)(random_next(&random) % PAGES);
		unsigned n = 1 + (unsigned)(random_next(&random) % (random_next(&random) % 32 + 1));
		unsigned to = from + n < PAGES ? from + n : PAGES;

		if (ranges.live < RANGES - 2 && random_next(&random) % 2 == 0) {
			add_pages(from, to, ++objects, step);
			size[objects] = to - from;
		} else {
			/* Some of them a little late. */
			remove_pages(from, to, step - random_next(&random) % 8);
		}
		assert_as_in_the_model();
	}
	for (uint32_t i = 1; i <= objects; i++) {
		assert_int_equal(gone_bytes(i), (size[i] - pages_of(i)) * PAGE);
		assert_int_equal(gone_objects(i), pages_of(i) == 0);
	}
	assert_true(objects > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_unmap_cuts_what_it_meets, begin, end),
		cmocka_unit_test_setup_teardown(what_is_younger_stays, begin, end),
		cmocka_unit_test_setup_teardown(a_full_table_says_so, begin, end),
		cmocka_unit_test_setup_teardown(as_a_model_says, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
