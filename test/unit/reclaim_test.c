/* Generations that come and go: what is counted stays counted, and what lives stays what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake/child.h"
#include "fake/made_samples.h"
#include "sampler/count.h"
#include "sampler/os.h"
#include "sampler/reclaim.h"
#include "sampler/threads.h"

#define BUDGET (1u << 19)
#define DEPTH  10
/* Of made samples: as the heap's, what was given is there when what was taken is not as much. */
enum { TAKEN, GIVEN, ALL };

static bool lives(const struct site_row *r)
{
	return r->value[TAKEN] != r->value[GIVEN];
}

static const struct generations_kind late = {
	.capture = CAPTURE_TICK, .rows_eighths = 2, .reclaim_eighths = 6, .samples_eighths = 8,
	.evicted = COUNT_REASONS,
};
static const struct generations_kind early = {
	.capture = CAPTURE_HEAP, .rows_eighths = 2, .reclaim_eighths = 2, .samples_eighths = 4,
	.lives = lives, .evicted = COUNT_HEAP_EVICTED,
};

static struct generations table;
static uint64_t samples, moves;

static int begin(const struct generations_kind *kind)
{
	samples = moves = 0;
	return generations_init(&table, kind, BUDGET);
}

static int begin_late(void **state)
{
	(void)state;
	return begin(&late);
}

static int begin_early(void **state)
{
	(void)state;
	return begin(&early);
}

static int end(void **state)
{
	(void)state;
	generations_free(&table);
	return 0;
}

/* The stack with this number, as new as a compiler's. */
static void make_stack(uint64_t i, frame_t frame[DEPTH])
{
	for (unsigned k = 0; k < DEPTH; k++)
		frame[k] = (i + 1) << 20 | k;
}

static uint32_t sample(uint64_t i, uint64_t taken, uint64_t given)
{
	struct site_key key = { .size = 16 };
	frame_t frame[DEPTH];
	uint32_t row;

	make_stack(i, frame);
	row = made_sample(&table, frame, DEPTH, &key);
	sites_add(&table.sites, row, ALL, 1000, 0);
	sites_add(&table.sites, row, TAKEN, taken, given);
	samples++;
	return row;
}

static void count_move(uint32_t row, void *arg)
{
	(void)arg;
	assert_int_not_equal(row, 0);
	moves++;
}

static uint64_t go_on(bool reading)
{
	return reclaim_go_on(&table, reading, count_move, NULL);
}

static enum generations_other other(void)
{
	return generations_other(generations_now(&table));
}

/* Until it has nothing to do at present.  There is a rest between two rounds: not here. */
static void go_on_to_the_end(void)
{
	table.reclaim.not_before_ns = 0;
	do
		go_on(false);
	while (table.reclaim.step != RECLAIM_WATCH);
}

static uint64_t all(void)
{
	return made_samples_sum(&table, ALL);
}

static uint64_t evicted(unsigned value)
{
	return table.sites.row[GENERATIONS_EVICTED].value[value];
}

/* --- what comes and goes --------------------------------------------------------------------- */

static void new_stacks_find_room_for_ever_and_totals_stay(void **state)
{
	uint64_t number;

	(void)state;
	for (uint64_t i = 0; i < 50000; i++) {
		assert_true(sample(i, 1, 1) >= GENERATIONS_ROWS);
		if (i % 50 == 0)
			go_on_to_the_end();
		if (i % 1000 == 0)
			assert_int_equal(all(), 1000 * samples);
	}
	number = generations_number(generations_now(&table));
	assert_in_range(number, 50, 200);
	assert_int_equal(all(), 1000 * samples);
	assert_in_range(moves, samples - 2000, samples);
	assert_in_range(evicted(ALL), 1000 * (samples - 2000), 1000 * samples);
	assert_true(generations_sites(&table) < 2000);
	assert_int_equal(count_get(COUNT_HEAP_EVICTED), 0);
}

/* A site of which a sample comes now and then is never evicted. */
static void what_is_met_again_stays_itself(void **state)
{
	uint32_t row = sample(7, 1, 1);
	uint64_t value[SITES_VALUES], hot = 1;
	struct site_key key;

	(void)state;
	for (uint64_t i = 1000; i < 20000; i++) {
		sample(i, 1, 1);
		if (i % 100 == 0) {
			assert_int_equal(sample(7, 1, 1), row);
			hot++;
		}
		if (i % 50 == 0)
			go_on_to_the_end();
	}
	assert_true(sites_read(&table.sites, row, &key, value));
	assert_int_equal(value[ALL], 1000 * hot);
}

static void what_is_evicted_gives_its_memory_back(void **state)
{
	const struct generation *g = table.generation;

	(void)state;
	for (uint64_t i = 0; generations_number(generations_now(&table)) == 0; i++)
		sample(i, 1, 1);
	assert_true(stacks_nodes(&g[0].stacks) > 5000);
	for (uint64_t i = 1000000; stacks_nodes(&g[1].stacks) < g[1].stacks.nodes_max / 8 * 7; i++)
		sample(i, 1, 1);
	go_on_to_the_end();
	assert_int_equal(other(), GENERATIONS_CLEAR);
	assert_int_equal(stacks_nodes(&g[0].stacks), 0);
	for (size_t i = 0; i < g[0].stacks.nodes_max; i++)
		assert_int_equal(g[0].stacks.node[i].frame, 0);
	for (size_t i = 0; i < levels_words(&g[0].index); i++)
		assert_true(g[0].index.words[i] == 0);
}

/* Two threads made a row for one site at once, and the index has that of the other. */
static void a_row_that_nobody_found_is_given_back_and_no_loss(void **state)
{
	uint64_t counted = count_get(COUNT_HEAP_EVICTED);
	uint32_t row = sample(0, 0, 0), twin = sites_take(&table.sites);
	uint64_t value[SITES_VALUES];
	struct site_key key;

	(void)state;
	assert_true(sites_read(&table.sites, row, &key, value));
	sites_set_key(&table.sites, twin, &key);
	for (uint64_t i = 1; table.reclaim.step != RECLAIM_FOLD; i++) {
		sample(i, 1, 1);
		go_on(true);
	}
	assert_true(sites_read(&table.sites, twin, &key, value));
	go_on_to_the_end();
	assert_false(sites_read(&table.sites, twin, &key, value));
	assert_true(moves > 1);
	assert_int_equal(count_get(COUNT_HEAP_EVICTED) - counted, moves - 1);
	assert_int_equal(all(), 1000 * samples);
}

/* As far as this step. */
static void fill_until(enum reclaim_step step)
{
	table.reclaim.not_before_ns = 0;
	for (uint64_t i = 0; table.reclaim.step != step; i++) {
		sample(i, 1, 1);
		go_on(true);
	}
}

/* --- what lives ------------------------------------------------------------------------------ */

static void assert_is(uint32_t row, uint64_t stack, uint64_t taken, uint64_t given)
{
	frame_t want[DEPTH], got[DEPTH + 1];
	uint64_t value[SITES_VALUES];
	struct site_key key;

	make_stack(stack, want);
	assert_true(sites_read(&table.sites, row, &key, value));
	assert_int_equal(generations_frames(&table, key.stack, got, DEPTH + 1), DEPTH);
	assert_memory_equal(got, want, sizeof(want));
	assert_int_equal(value[TAKEN], taken);
	assert_int_equal(value[GIVEN], given);
	assert_int_equal(key.size, 16);
}

static void what_lives_keeps_its_row_and_its_stack(void **state)
{
	uint32_t row[50];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(row); i++)
		row[i] = sample(i, i + 2, 1);
	for (uint64_t i = 1000; i < 20000; i++) {
		assert_true(sample(i, 1, 1) >= GENERATIONS_ROWS);
		if (i % 50 == 0)
			go_on_to_the_end();
	}
	assert_true(generations_number(generations_now(&table)) > 20);
	for (unsigned i = 0; i < COUNT_OF(row); i++) {
		assert_is(row[i], i, i + 2, 1);
		/* Who comes to it again finds it, in whatever generation it is. */
		assert_int_equal(sample(i, 1, 1), row[i]);
		assert_is(row[i], i, i + 3, 2);
	}
	assert_int_equal(all(), 1000 * samples);
	assert_int_equal(evicted(TAKEN), evicted(GIVEN));
}

/* Our thread is slow, samples are many: they have to leave room for what lives. */
static void what_lives_has_room_before_what_is_new(void **state)
{
	uint32_t row[50];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(row); i++)
		row[i] = sample(i, 3, 1);
	for (uint64_t i = 1000; i < 20000; i++) {
		sample(i, 1, 1);
		if (i % 2000 == 0)
			go_on_to_the_end();
	}
	assert_true(generations_number(generations_now(&table)) > 4);
	for (unsigned i = 0; i < COUNT_OF(row); i++)
		assert_is(row[i], i, 3, 1);
	assert_int_equal(all(), 1000 * samples);
}

/* Also the first time, when both generations are full before our thread comes. */
static void what_lives_has_room_in_the_second_generation(void **state)
{
	uint32_t row[50];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(row); i++)
		row[i] = sample(i, 3, 1);
	for (uint64_t i = 1000; i < 20000; i++)
		sample(i, 1, 1);
	assert_int_equal(generations_number(generations_now(&table)), 1);
	go_on_to_the_end();
	for (unsigned i = 0; i < COUNT_OF(row); i++)
		assert_is(row[i], i, 3, 1);
}

/* A sample that was on its way when generations changed: its row is behind, and lives. */
static void what_begins_to_live_late_keeps_its_stack(void **state)
{
	uint32_t row = sample(1u << 30, 1, 1);

	(void)state;
	fill_until(RECLAIM_WAIT);
	assert_true(generations_number(generations_now(&table)) == 1);
	sites_add(&table.sites, row, TAKEN, 1, 0);
	go_on_to_the_end();
	assert_int_equal(other(), GENERATIONS_CLEAR);
	assert_is(row, 1u << 30, 2, 1);
}

/* More than fits: then the oldest become [evicted], but their blocks stay theirs. */
static void what_lives_and_finds_no_room_counts_as_evicted(void **state)
{
	enum { MANY = 1000 };
	uint64_t value[SITES_VALUES], in = 0, renamed = 0, counted = count_get(COUNT_HEAP_EVICTED);
	static uint32_t row[MANY];
	struct site_key key;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		row[i] = sample(i, 3, 1);
		go_on_to_the_end();
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(sites_read(&table.sites, row[i], &key, value));
		if (row[i] >= GENERATIONS_ROWS && key.stack != GENERATIONS_STACK_EVICTED)
			assert_is(row[i], i, 3, 1);
		else
			renamed += row[i] >= GENERATIONS_ROWS;
		in += row[i] >= GENERATIONS_ROWS;
	}
	assert_true(renamed > 100 && in - renamed > 200);
	assert_int_equal(count_get(COUNT_HEAP_EVICTED) - counted, renamed);
	assert_int_equal(made_samples_sum(&table, TAKEN), 3 * MANY);
	assert_int_equal(made_samples_sum(&table, GIVEN), MANY);
	/* Now they die, and give back their rows. */
	for (unsigned i = 0; i < MANY; i++)
		sites_add(&table.sites, row[i], TAKEN, 0, 2);
	for (uint64_t i = 10000; i < 15000; i++) {
		sample(i, 1, 1);
		if (i % 50 == 0)
			go_on_to_the_end();
	}
	assert_true(generations_sites(&table) < 1100);
	assert_int_equal(all(), 1000 * samples);
	assert_int_equal(made_samples_sum(&table, TAKEN), made_samples_sum(&table, GIVEN));
}

/* --- who is in the way ----------------------------------------------------------------------- */

static void nothing_is_folded_while_somebody_reads(void **state)
{
	(void)state;
	fill_until(RECLAIM_FOLD);
	assert_true(reclaim_waits_for_readers(&table));
	for (int i = 0; i < 100; i++) {
		uint64_t now = os_monotonic_ns(), when = go_on(true);

		assert_true(when > now && when < os_monotonic_ns() + 100000000);
	}
	assert_int_equal(moves, 0);
	assert_int_equal(evicted(ALL), 0);
	go_on_to_the_end();
	assert_true(moves > 100);
	assert_false(reclaim_waits_for_readers(&table));
	assert_int_equal(all(), 1000 * samples);
}

static _Atomic bool inside, leave, left_by_longjmp;

/* A handler that is slow, or never comes back to where it was. */
static void *be_inside(void *unused)
{
	volatile uint64_t x = 0;

	(void)unused;
	threads_enter(NULL);
	threads_begin(late.capture);
	inside = true;
	while (!leave)
		if (left_by_longjmp)
			x++;            /* the thread goes on with its life */
		else
			usleep(1000);
	if (!left_by_longjmp)
		threads_end(late.capture);
	threads_leave();
	return NULL;
}

static pthread_t start_handler(bool is_left)
{
	pthread_t thread;

	inside = leave = false;
	left_by_longjmp = is_left;
	assert_int_equal(pthread_create(&thread, NULL, be_inside, NULL), 0);
	while (!inside)
		usleep(100);
	return thread;
}

static void a_generation_is_not_cleared_before_all_handlers_have_left(void **state)
{
	pthread_t thread = start_handler(false);
	uint32_t in_use;

	(void)state;
	fill_until(RECLAIM_WAIT);
	in_use = stacks_nodes(&table.generation[0].stacks);
	for (int i = 0; i < 50; i++) {
		go_on(false);
		usleep(1000);
	}
	assert_int_equal(table.reclaim.step, RECLAIM_WAIT);
	assert_int_equal(stacks_nodes(&table.generation[0].stacks), in_use);
	/* Others go on as long as there is room, and then nothing is lost, either. */
	for (uint64_t i = 1000000; i < 1005000; i++)
		sample(i, 1, 1);
	assert_int_equal(other(), GENERATIONS_CLOSED);
	assert_int_equal(all(), 1000 * samples);
	leave = true;
	pthread_join(thread, NULL);
	go_on_to_the_end();
	assert_int_equal(other(), GENERATIONS_CLEAR);
	assert_int_equal(stacks_nodes(&table.generation[0].stacks), 0);
	assert_int_equal(all(), 1000 * samples);
}

/* It is inside at every look: it need not be seen outside. */
static void a_thread_that_takes_samples_all_the_time_holds_up_nothing(void **state)
{
	(void)state;
	threads_begin(late.capture);
	fill_until(RECLAIM_WAIT);
	for (int i = 0; i < 3; i++)
		go_on(true);
	assert_int_equal(table.reclaim.step, RECLAIM_WAIT);
	threads_end(late.capture);
	threads_begin(late.capture);
	go_on(true);
	assert_int_equal(table.reclaim.step, RECLAIM_FOLD);
	threads_end(late.capture);
}

static void a_handler_that_was_left_by_longjmp_holds_up_nothing_for_ever(void **state)
{
	pthread_t thread = start_handler(true);
	uint64_t until = os_monotonic_ns() + 60000000000ull;

	(void)state;
	fill_until(RECLAIM_WAIT);
	/* A second of that thread's CPU. */
	while (table.reclaim.step == RECLAIM_WAIT && os_monotonic_ns() < until) {
		go_on(false);
		usleep(10000);
	}
	assert_int_not_equal(table.reclaim.step, RECLAIM_WAIT);
	go_on_to_the_end();
	leave = true;
	pthread_join(thread, NULL);
}

/* --- a fork ---------------------------------------------------------------------------------- */

static void look_in_child(void)
{
	threads_after_fork();
	generations_after_fork(&table);
	CHILD_DEMAND(all() == 0 && generations_sites(&table) == 0);
	for (uint64_t i = 0; i < 3000; i++) {
		sample(i, 1, 1);
		if (i % 50 == 0)
			go_on_to_the_end();
	}
	CHILD_DEMAND(all() == 3000 * 1000);
	CHILD_DEMAND(other() == GENERATIONS_CLEAR || table.reclaim.step == RECLAIM_WATCH);
}

/* Whatever our thread was at when the fork came. */
static void a_fork_child_begins_with_nothing(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3000; i++) {
		const char *wrong;

		sample(i, 1, 1);
		table.reclaim.not_before_ns = 0;
		go_on(false);
		wrong = i % 30 == 0 ? child_run(look_in_child) : NULL;
		if (wrong != NULL)
			fail_msg("%s", wrong);
	}
	assert_int_equal(all(), 3000 * 1000);
}

#define LATE(f) cmocka_unit_test_setup_teardown(f, begin_late, end)
#define EARLY(f) cmocka_unit_test_setup_teardown(f, begin_early, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LATE(new_stacks_find_room_for_ever_and_totals_stay),
		LATE(what_is_met_again_stays_itself),
		LATE(what_is_evicted_gives_its_memory_back),
		EARLY(a_row_that_nobody_found_is_given_back_and_no_loss),
		EARLY(what_lives_keeps_its_row_and_its_stack),
		EARLY(what_lives_has_room_before_what_is_new),
		EARLY(what_lives_has_room_in_the_second_generation),
		EARLY(what_begins_to_live_late_keeps_its_stack),
		EARLY(what_lives_and_finds_no_room_counts_as_evicted),
		LATE(nothing_is_folded_while_somebody_reads),
		LATE(a_generation_is_not_cleared_before_all_handlers_have_left),
		LATE(a_thread_that_takes_samples_all_the_time_holds_up_nothing),
		LATE(a_handler_that_was_left_by_longjmp_holds_up_nothing_for_ever),
		LATE(a_fork_child_begins_with_nothing),
	};

	threads_init(STACK_DEPTH_DEFAULT);
	threads_enter(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
