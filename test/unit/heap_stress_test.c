/* Threads allocate and free, also each other's blocks, while the rate changes and modules are
 * looked for: at the end everything that was counted as allocated is counted as freed, and at rate
 * 1 nothing is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/crowd.h"
#include "fake/heap_doors.h"
#include "fake/odds.h"
#include "sampler/count.h"
#include "sampler/modules_scan.h"
#include "sampler/random.h"
#include "sampler/reclaim.h"

#define THREADS 8
#define BLOCKS  64      /* of a thread, of which its neighbour frees half */
#define SECONDS 0.6

static double end_s;
static uint64_t seed;
static _Atomic bool over;
static _Atomic uint64_t allocated, bytes_allocated, generations;
static bool with_generations;

/* With generations until enough of them have changed: on a busy machine that is later. */
static bool goes_on(void)
{
	return crowd_now_s() < end_s || (with_generations && generations <= 10);
}

static void take_part(unsigned who)
{
	/* 0: free; 1: being handled; else live.  Cells of who and of its neighbour. */
	static _Atomic int state[THREADS][BLOCKS];
	uint64_t random = random_seed(seed + who), n = 0, bytes = 0;

	for (unsigned turn = 0; turn % 256 != 0 || goes_on(); turn++) {
		uint64_t owner = (who + (random_next(&random) >> 63)) % THREADS;
		uint64_t i = (random_next(&random) >> 32) % BLOCKS;
		uint64_t size = random_next(&random) >> 52;
		int was = atomic_load(&state[owner][i]);

		if (was == 1 || !atomic_compare_exchange_strong(&state[owner][i], &was, 1))
			continue;
		if (was == 0) {
			door_gives(block_at(owner * BLOCKS + i), size);
			n++;
			bytes += size != 0 ? size : 1;
		} else {
			door_takes(block_at(owner * BLOCKS + i));
		}
		atomic_store(&state[owner][i], was == 0 ? 2 : 0);
	}
	/* Each its own: the neighbours have stopped or find them free. */
	for (uint64_t i = 0; i < BLOCKS; i++) {
		int was = 2;

		if (atomic_compare_exchange_strong(&state[who][i], &was, 1)) {
			door_takes(block_at(who * BLOCKS + i));
			atomic_store(&state[who][i], 0);
		}
	}
	atomic_fetch_add(&allocated, n);
	atomic_fetch_add(&bytes_allocated, bytes);
	CROWD_DEMAND(self.phase == SELF_READY);
	threads_leave();
}

/* A generation after the other, as fast as can be: our thread's part, in this one. */

static void note_move(uint32_t row, void *arg)
{
	(void)arg;
	CROWD_DEMAND(row >= GENERATIONS_ROWS);
}

static void reclaim_all_the_time(void)
{
	uint64_t now = generations_now(&heap_table);

	if (generations_other(now) == GENERATIONS_CLEAR) {
		(void)generations_next(&heap_table, now);
		generations++;
	}
	heap_table.reclaim.not_before_ns = 0;
	reclaim_go_on(&heap_table, false, note_move, NULL);
}

/* Whatever is left is in use: whole blocks at any moment. */
static void watch(bool change_rate)
{
	static const uint64_t rates[] = { 1, 64, 4096, 0, 512 << 10 };

	for (unsigned turn = 0; !atomic_load(&over); turn++) {
		if (change_rate)
			heap_set_rate(rates[turn % COUNT_OF(rates)]);
		CROWD_DEMAND(modules_scan(false) == 0);
		for (uint32_t row = 1; row < sites_end(&heap_table.sites); row++) {
			uint64_t v[SITES_VALUES];
			struct site_key key;

			if (!sites_read(&heap_table.sites, row, &key, v))
				continue;
			CROWD_DEMAND(heap_whole(v));
		}
		for (int i = 0; with_generations && i < 100; i++)
			reclaim_all_the_time();
	}
}

static bool with_rates;
static _Atomic unsigned taking_part;

static void run(unsigned who)
{
	if (who == THREADS) {
		watch(with_rates);
		return;
	}
	take_part(who);
	if (atomic_fetch_sub(&taking_part, 1) == 1)
		atomic_store(&over, true);
}

static struct heap_totals run_crowd(bool change_rate)
{
	struct heap_totals before = heap_totals_of(0);

	with_rates = change_rate;
	over = false;
	taking_part = THREADS;
	allocated = bytes_allocated = 0;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS + 1, run);
	crowd_check();
	/* Blocks that a neighbour left behind after their owner had looked. */
	for (uint64_t i = 0; i < THREADS * BLOCKS; i++)
		door_takes(block_at(i));
	return heap_totals_since(&before);
}

static void assert_all_is_freed(const struct heap_totals *t)
{
	for (unsigned i = 0; i < HEAP_FREE_OBJECTS; i++)
		assert_true(t->value[i] == t->value[HEAP_FREE_OBJECTS + i]);
	for (unsigned cell = 0; cell < COUNT_OF(heap_filter); cell++)
		assert_int_equal(heap_filter[cell], 0);
	for (int i = 0; i < COUNT_REASONS; i++)
		if (i != COUNT_STACK_TRUNCATED && i != COUNT_HEAP_EVICTED)
			assert_int_equal(count_get((enum count)i), 0);
}

static void at_rate_1_nothing_is_missing(void **state)
{
	struct heap_totals t;

	(void)state;
	heap_set_rate(1);
	t = run_crowd(false);
	print_message("%llu blocks\n", (unsigned long long)allocated);
	assert_true(t.value[HEAP_ALLOC_RAW] == allocated);
	assert_true(t.value[HEAP_ALLOC_OBJECTS] == allocated * RANDOM_WEIGHT_ONE);
	assert_true(t.value[HEAP_ALLOC_BYTES] == bytes_allocated);
	assert_all_is_freed(&t);
}

static void whatever_the_rate_all_that_was_counted_is_freed(void **state)
{
	struct heap_totals t = run_crowd(true);

	(void)state;
	assert_true(t.value[HEAP_ALLOC_RAW] > 0);
	assert_all_is_freed(&t);
}

/* Blocks are freed on the rows that they were counted on, whatever has become of these. */
static void nothing_is_missing_while_generations_change(void **state)
{
	static struct generations_kind at_once;
	struct heap_totals t;

	(void)state;
	at_once = *heap_table.kind;
	at_once.reclaim_eighths = 0;
	heap_table.kind = &at_once;
	heap_set_rate(1);
	with_generations = true;
	t = run_crowd(false);
	print_message("%llu blocks, %llu generations\n", (unsigned long long)allocated,
		      (unsigned long long)generations);
	assert_true(generations > 10);
	assert_true(t.value[HEAP_ALLOC_RAW] == allocated);
	assert_true(t.value[HEAP_ALLOC_BYTES] == bytes_allocated);
	assert_all_is_freed(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_rate_1_nothing_is_missing),
		cmocka_unit_test(whatever_the_rate_all_that_was_counted_is_freed),
		cmocka_unit_test(nothing_is_missing_while_generations_change),
	};

	seed = odds_seed();
	if (heap_doors_begin() < 0 || heap_init(64u << 20) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
