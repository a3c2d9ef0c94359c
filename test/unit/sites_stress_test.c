/* Many threads count on the same sites of an empty table at once, while two read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/crowd.h"
#include "sampler/random.h"
#include "sampler/sites.h"

#define WRITERS 6
#define THREADS 8
#define SITES   1500
#define ADDS    20000
#define SECONDS 1.0

/* As the heap does: what is given up is added after, and read before, what was taken. */
enum { TAKEN = 0, GIVEN_UP = SITES_VALUES - 1 };

static struct sites sites;
static uint64_t round_seed;
static uint32_t row_of[WRITERS][SITES];
static uint64_t sum_of[WRITERS][SITES];
static _Atomic unsigned writing;

static struct site_key key_of(uint32_t i)
{
	return (struct site_key){ .stack = i * 3 + (uint32_t)round_seed * 100000, .size = i % 7,
				  .thread = (uint16_t)(i % 5), .labels = (uint16_t)(i % 2) };
}

static void write_all(unsigned who)
{
	uint64_t random = random_seed(round_seed << 8 | who);

	memset(sum_of[who], 0, sizeof(sum_of[who]));
	memset(row_of[who], 0, sizeof(row_of[who]));
	for (unsigned n = 0; n < ADDS; n++) {
		uint32_t i = (uint32_t)(random_next(&random) >> 32) % SITES;
		uint64_t much = random_next(&random) >> 40;
		struct site_key key = key_of(i);
		uint32_t row = sites_row(&sites, &key);

		CROWD_DEMAND(row != 0);
		CROWD_DEMAND(row_of[who][i] == 0 || row_of[who][i] == row);
		row_of[who][i] = row;
		sum_of[who][i] += much;
		sites_add(&sites, row, TAKEN, much);
		sites_add(&sites, row, GIVEN_UP, much);
	}
	atomic_fetch_sub(&writing, 1);
}

/* Never more given up than taken, never less than before, and no key but ours. */
static void read_all(void)
{
	static _Thread_local uint64_t last[WRITERS * SITES + 1];
	uint64_t value[SITES_VALUES];
	struct site_key key, want;

	memset(last, 0, sizeof(last));
	while (atomic_load(&writing) > 0) {
		uint32_t end = sites_end(&sites);

		CROWD_DEMAND(end <= WRITERS * SITES + 1);
		for (uint32_t row = 1; row < end; row++) {
			if (!sites_read(&sites, row, &key, value))
				continue;
			want = key_of((key.stack - (uint32_t)round_seed * 100000) / 3);
			CROWD_DEMAND(memcmp(&key, &want, sizeof(key)) == 0);
			CROWD_DEMAND(value[GIVEN_UP] <= value[TAKEN]);
			CROWD_DEMAND(value[TAKEN] >= last[row]);
			last[row] = value[TAKEN];
		}
	}
}

static void run(unsigned who)
{
	if (who < WRITERS)
		write_all(who);
	else
		read_all();
}

/* Every site has one row, the same for all threads, and on it is what all of them have added. */
static void check_sums(void)
{
	for (uint32_t i = 0; i < SITES; i++) {
		uint64_t sum = 0, value[SITES_VALUES];
		struct site_key key = key_of(i), got;
		uint32_t row = sites_row(&sites, &key);

		for (unsigned who = 0; who < WRITERS; who++) {
			sum += sum_of[who][i];
			assert_true(row_of[who][i] == 0 || row_of[who][i] == row);
		}
		assert_true(sites_read(&sites, row, &got, value));
		assert_memory_equal(&got, &key, sizeof(key));
		assert_true(value[TAKEN] == sum && value[GIVEN_UP] == sum);
	}
}

/* The rows that lost a race are handed out, but count for nothing and say nothing. */
static void check_that_no_other_row_is_in_use(void)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;
	uint32_t in_use = 0;

	for (uint32_t row = 1; row < sites_end(&sites); row++)
		in_use += sites_read(&sites, row, &key, value);
	assert_int_equal(in_use, SITES);
}

static void empty_the_table(void)
{
	memset(sites.row, 0, sites_end(&sites) * sizeof(*sites.row));
	memset((void *)(uintptr_t)sites.index.words, 0, levels_words(&sites.index) * 8);
	sites.rows = 1;
}

static void sums_are_exact_however_many_threads_add(void **state)
{
	double end = crowd_now_s() + SECONDS;

	(void)state;
	assert_int_equal(sites_init(&sites, 4u << 20), 0);
	do {
		round_seed++;
		writing = WRITERS;
		crowd_run(THREADS, run);
		crowd_check();
		check_sums();
		check_that_no_other_row_is_in_use();
		empty_the_table();
	} while (crowd_now_s() < end);
	print_message("%u rounds\n", (unsigned)round_seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_exact_however_many_threads_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
