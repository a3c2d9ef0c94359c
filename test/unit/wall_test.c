/* The wall-clock profile of a world on paper: totals are exact, shares right on average, and it
 * costs no more than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "fake/paper_world.h"
#include "sampler/count.h"
#include "sampler/reclaim.h"

#define SECOND 1000000000ull
#define BUDGET (1u << 20)

static struct {
	uint64_t samples[WALL_OFF_CPU + 1][WORLD_STACKS], ns[WALL_OFF_CPU + 1][WORLD_STACKS];
	uint64_t other_ns[WALL_OFF_CPU + 1][16];        /* of frames that are no code */
	uint64_t all_ns;
} seen;

static void see(void)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;
	frame_t frame;

	memset(&seen, 0, sizeof(seen));
	for (uint32_t row = 1; row < sites_end(&wall_table.sites); row++) {
		uintptr_t pc;

		if (!sites_read(&wall_table.sites, row, &key, value) || value[1] + value[0] == 0)
			continue;
		assert_int_equal(generations_frames(&wall_table, key.stack, &frame, 1), 1);
		pc = frame_pc(frame);
		seen.all_ns += value[WALL_NANOSECONDS];
		if (pc < 16) {
			seen.other_ns[key.labels][pc] += value[WALL_NANOSECONDS];
			continue;
		}
		seen.samples[key.labels][pc / 0x1000 - 1] += value[WALL_SAMPLES];
		seen.ns[key.labels][pc / 0x1000 - 1] += value[WALL_NANOSECONDS];
	}
}

/* A table of its own for each. */
static int begin(void **state)
{
	static bool ready;

	(void)state;
	if (!ready)
		threads_init(16);
	ready = true;
	world_reset();
	count_reset();
	return wall_init(BUDGET);
}

static int end(void **state)
{
	(void)state;
	(void)wall_go_on(0);
	world_reset();
	generations_free(&wall_table);
	wall_table.kind = NULL;
	return 0;
}

/* All of a window of so many ns.  What was counted is in seen, what was so in world.spent. */
static void watch(unsigned hz, uint64_t ns, uint64_t late_ns)
{
	world_settle();
	world_begin();
	world_run(hz, ns, late_ns);
	world_settle();
	world_end();
	see();
}

static uint64_t sum(const uint64_t ns[WORLD_STACKS])
{
	uint64_t all = 0;

	for (unsigned i = 0; i < WORLD_STACKS; i++)
		all += ns[i];
	return all;
}

/* As exact as the calls of our thread are short; and of the time before a thread was first seen the
 * kernel has not said what it was: FIRST for each. */
#define CALLS 100000
#define FIRST (16 * MS)
static void assert_close(uint64_t a, uint64_t b, uint64_t ns)
{
	if (a > b + ns || b > a + ns)
		fail_msg("%llu and %llu", (unsigned long long)a, (unsigned long long)b);
}

/* --- programs -------------------------------------------------------------------------------- */

enum { LONG, SHORT, MUCH, LITTLE, PARKED };

static void stretch(struct world_stretch *s, enum wall_state state, unsigned stack, uint64_t ns)
{
	*s = (struct world_stretch){ state, stack, ns };
}

static void sleeps(struct world_thread *t, struct world_stretch *next)
{
	(void)t;
	stretch(next, WALL_OFF_CPU, PARKED, 1000000 * SECOND);
}

/* Seven of ten milliseconds in one place, three in another; it runs for a moment in between. */
static void naps(struct world_thread *t, struct world_stretch *next)
{
	switch (t->step++ % 4) {
	case 0: stretch(next, WALL_OFF_CPU, LONG, world_draw(2 * MS, 12 * MS)); break;
	case 2: stretch(next, WALL_OFF_CPU, SHORT, world_draw(1 * MS, 5 * MS)); break;
	default: stretch(next, WALL_ON_CPU, LITTLE, 10000); break;
	}
}

/* Long bursts and short ones, for as long altogether. */
static void works(struct world_thread *t, struct world_stretch *next)
{
	switch (t->step++ % 18) {
	case 0: stretch(next, WALL_ON_CPU, MUCH, 8 * MS); break;
	default:
		if (t->step % 2 == 0)
			stretch(next, WALL_OFF_CPU, LONG, world_draw(1 * MS, 6 * MS));
		else
			stretch(next, WALL_ON_CPU, LITTLE, world_draw(MS / 2, 3 * MS / 2));
		break;
	}
}

/* It has a CPU for a third of the time, and never sleeps. */
static void competes(struct world_thread *t, struct world_stretch *next)
{
	unsigned stack = t->step++ / 2 % 2 == 0 ? MUCH : LITTLE;

	if (t->step % 2 != 0)
		stretch(next, WALL_RUNNABLE, stack, world_draw(4 * MS, 12 * MS));
	else
		stretch(next, WALL_ON_CPU, stack, world_draw(2 * MS, 6 * MS));
}

/* It waits for a CPU each time it wakes up. */
static void wakes_up_late(struct world_thread *t, struct world_stretch *next)
{
	switch (t->step++ % 3) {
	case 0: stretch(next, WALL_OFF_CPU, LONG, world_draw(4 * MS, 12 * MS)); break;
	case 1: stretch(next, WALL_RUNNABLE, LONG, world_draw(1 * MS, 5 * MS)); break;
	default: stretch(next, WALL_ON_CPU, LITTLE, world_draw(MS / 2, MS)); break;
	}
}

/* In step with 99 ticks a second. */
static void is_in_step(struct world_thread *t, struct world_stretch *next)
{
	if (t->step++ % 2 == 0)
		stretch(next, WALL_OFF_CPU, LONG, 5050505);
	else
		stretch(next, WALL_OFF_CPU, SHORT, 5050505);
	t->cpu_ns += 1000;
}

/* --- totals ---------------------------------------------------------------------------------- */

static void a_thread_that_sleeps_on_is_looked_at_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		world_add(sleeps);
	watch(99, 10 * SECOND, 0);
	assert_int_equal(world.looks, 20);
	assert_close(seen.ns[WALL_OFF_CPU][PARKED], 200 * SECOND, 20 * 20000);
	assert_int_equal(seen.all_ns, seen.ns[WALL_OFF_CPU][PARKED]);
	/* 990 ticks, whose number varies by 9 (draws of a twelfth of a square). */
	assert_true(fabs((double)seen.samples[WALL_OFF_CPU][PARKED] / RANDOM_WEIGHT_ONE / 20 - 990) < 70);
}

static void totals_are_exact_however_late_the_looks_are(void **state)
{
	uint64_t late[] = { 0, 30 * MS, 900 * MS };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(late); i++) {
		uint64_t spent = 0;

		end(NULL);
		begin(NULL);
		world_add(sleeps);
		world_add(naps);
		world_add(works);
		world_add(competes);
		watch(99, 20 * SECOND, late[i]);
		for (unsigned k = 1; k <= WALL_OFF_CPU; k++)
			spent += sum(world.spent[k]);
		assert_close(seen.all_ns, spent, 4 * CALLS);
		assert_close(sum(seen.ns[WALL_ON_CPU]) + seen.other_ns[WALL_ON_CPU][10],
			     sum(world.spent[WALL_ON_CPU]), 4 * (FIRST + late[i]));
		assert_true(wall_go_on(0) == UINT64_MAX);
	}
}

static void what_waits_for_a_cpu_is_no_sleep(void **state)
{
	uint64_t wait;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		world_add(competes);
	watch(99, 30 * SECOND, 0);
	wait = sum(seen.ns[WALL_RUNNABLE]) + seen.other_ns[WALL_RUNNABLE][10];
	/* The kernel says how long a wait was when it is over. */
	assert_close(wait, sum(world.spent[WALL_RUNNABLE]), 4 * 30 * MS);
	assert_close(sum(seen.ns[WALL_ON_CPU]) + seen.other_ns[WALL_ON_CPU][10],
		     sum(world.spent[WALL_ON_CPU]), 4 * FIRST);
	assert_int_equal(sum(seen.ns[WALL_OFF_CPU]), 0);
	assert_true(seen.other_ns[WALL_ON_CPU][10] + seen.other_ns[WALL_RUNNABLE][10] < seen.all_ns / 100);
}

static void who_wakes_up_late_waits_where_it_slept(void **state)
{
	(void)state;
	world_add(wakes_up_late);
	watch(99, 30 * SECOND, 0);
	assert_close(sum(seen.ns[WALL_OFF_CPU]), sum(world.spent[WALL_OFF_CPU]), 2 * FIRST);
	/* The call that it sleeps in, but for what two looks in a row have found running. */
	assert_true(seen.ns[WALL_RUNNABLE][LONG] > world.spent[WALL_RUNNABLE][LONG] / 10 * 9);
	assert_true(seen.ns[WALL_RUNNABLE][LONG] < world.spent[WALL_RUNNABLE][LONG] + 2 * FIRST);
}

static void windows_one_after_the_other_are_what_one_is(void **state)
{
	uint64_t before = 0;

	(void)state;
	world_add(naps);
	world_add(works);
	for (unsigned i = 0; i < 50; i++) {
		watch(99, 300 * MS, 0);
		assert_close(seen.all_ns - before, 600 * MS, 200000);
		before = seen.all_ns;
		if (i % 2 == 0)
			continue;
		/* Between two of them nobody looks, and nothing is counted. */
		assert_true(wall_go_on(0) == UINT64_MAX);
		world.now_ns += world_draw(0, SECOND);
	}
}

/* --- shares ---------------------------------------------------------------------------------- */

struct share { double sum, squares; unsigned n; };

static void add(struct share *s, double error)
{
	s->sum += error;
	s->squares += error * error;
	s->n++;
}

/* The mean of so many independent errors is normal: seven of its deviations are passed once in
 * 4e11 times.  Beside that a bias of a two-hundredth is let pass: the ends of each window. */
static void assert_no_bias(const struct share *s, const char *what)
{
	double mean = s->sum / s->n;
	double deviation = sqrt((s->squares / s->n - mean * mean) / s->n);

	if (fabs(mean) > 7 * deviation + 0.005)
		fail_msg("%s: %g, deviation %g", what, mean, deviation);
	/* It would have been seen. */
	if (deviation > 0.005)
		fail_msg("%s: deviation %g", what, deviation);
}

static double part(const uint64_t ns[WORLD_STACKS], unsigned a, unsigned b)
{
	return (double)ns[a] / (double)(ns[a] + ns[b]);
}

static void compare(struct share *s, enum wall_state state, unsigned a, unsigned b)
{
	add(s, part(seen.ns[state], a, b) - part(world.spent[state], a, b));
}

static void shares_are_right_on_average(void **state)
{
	uint64_t late[] = { 0, 15 * MS };
	char what[64];

	(void)state;
	for (unsigned k = 0; k < COUNT_OF(late); k++) {
		struct share naps_share = { 0, 0, 0 }, works_share = naps_share;

		for (unsigned i = 0; i < 300; i++) {
			end(NULL);
			begin(NULL);
			world_add(naps);
			watch(99, 5 * SECOND, late[k]);
			compare(&naps_share, WALL_OFF_CPU, LONG, SHORT);
			end(NULL);
			begin(NULL);
			/* Ticks that are as likely in short bursts as in long ones. */
			world.tick_ns = MS / 20;
			world_add(works);
			watch(99, 15 * SECOND, late[k]);
			compare(&works_share, WALL_ON_CPU, MUCH, LITTLE);
		}
		snprintf(what, sizeof(what), "naps, late by %u", (unsigned)late[k]);
		assert_no_bias(&naps_share, what);
		snprintf(what, sizeof(what), "works, late by %u", (unsigned)late[k]);
		assert_no_bias(&works_share, what);
	}
}

static void a_host_in_step_with_the_ticks_is_seen_as_it_is(void **state)
{
	struct share share = { 0, 0, 0 };

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		end(NULL);
		begin(NULL);
		world_add(is_in_step);
		watch(99, 5 * SECOND, 0);
		compare(&share, WALL_OFF_CPU, LONG, SHORT);
	}
	assert_no_bias(&share, "in step");
	/* Of looks at random moments: 500 of them. */
	assert_true(sqrt(share.squares / share.n) < 2 * sqrt(0.25 / 500));
}

/* --- what it costs --------------------------------------------------------------------------- */

static void our_thread_uses_no_more_than_it_may(void **state)
{
	uint64_t cpu_ns;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		world_add(i % 10 == 0 ? naps : sleeps);
	watch(99, 3 * SECOND, 0);               /* the first round has new stacks */
	cpu_ns = world.desk_cpu_ns;
	watch(1000, 30 * SECOND, 0);
	assert_true(world.desk_cpu_ns - cpu_ns < 30 * SECOND / 40);
	assert_close(seen.all_ns, 33 * 1000 * SECOND, 1000 * 2 * MS);
	assert_int_equal(seen.other_ns[0][FRAME_WALL_UNSEEN], 0);
}

static void a_step_is_short(void **state)
{
	uint64_t longest = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		world_add(naps);
	world_settle();
	for (uint64_t end_ns = world.now_ns + 5 * SECOND; world.now_ns < end_ns;) {
		uint64_t before = world.now_ns, due = wall_go_on(1);

		if (world.now_ns - before > longest)
			longest = world.now_ns - before;
		if (due > world.now_ns)
			world.now_ns = due;
	}
	assert_true(longest > 0 && longest < 1100000);
}

static void shares_of_thousands_are_right_on_average(void **state)
{
	struct share share = { 0, 0, 0 };

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		end(NULL);
		begin(NULL);
		for (unsigned k = 0; k < 400; k++)
			world_add(naps);
		watch(99, 8 * SECOND, 0);
		compare(&share, WALL_OFF_CPU, LONG, SHORT);
	}
	assert_no_bias(&share, "400 that nap");
}

static void the_highest_rate_is_followed_at_once(void **state)
{
	(void)state;
	world_add(naps);
	world_settle();
	(void)wall_go_on(1);
	assert_true(wall_go_on(1) > world.now_ns + 400 * MS);
	assert_true(wall_go_on(1000) < world.now_ns + 2 * MS);
	assert_true(wall_go_on(0) == UINT64_MAX);
}

/* --- what is not seen ------------------------------------------------------------------------ */

static void who_does_not_answer_is_said_to_run(void **state)
{
	struct world_thread *t;

	(void)state;
	t = world_add(works);
	t->silent = true;
	watch(99, 10 * SECOND, 0);
	assert_int_equal(sum(seen.ns[WALL_ON_CPU]), 0);
	assert_close(seen.other_ns[WALL_ON_CPU][FRAME_WALL_NO_STACK], sum(world.spent[WALL_ON_CPU]), FIRST);
	assert_close(seen.all_ns, 10 * SECOND, CALLS);
}

static void who_falls_silent_is_not_where_he_was(void **state)
{
	struct world_thread *t;
	uint64_t before;

	(void)state;
	t = world_add(competes);
	watch(99, 10 * SECOND, 0);
	before = sum(seen.ns[WALL_ON_CPU]);
	t->silent = true;
	watch(99, 10 * SECOND, 0);
	assert_true(sum(seen.ns[WALL_ON_CPU]) < before + 100 * MS);
}

static void who_is_hidden_is_counted(void **state)
{
	struct world_thread *t;

	(void)state;
	t = world_add(works);
	t->hidden = true;
	watch(99, 10 * SECOND, 0);
	assert_close(seen.other_ns[WALL_OFF_CPU][FRAME_WALL_HIDDEN], sum(world.spent[WALL_OFF_CPU]), FIRST);
	/* Ticks meet it all the same. */
	assert_close(sum(seen.ns[WALL_ON_CPU]), sum(world.spent[WALL_ON_CPU]), 2 * FIRST);
	assert_close(seen.all_ns, 10 * SECOND, CALLS);
}

static void who_has_ended_is_not(void **state)
{
	(void)state;
	world_add(sleeps);
	world_add(sleeps)->zombie = true;
	world_add(sleeps)->gone = true;
	watch(99, 10 * SECOND, 0);
	assert_close(seen.all_ns, 10 * SECOND, 50000);
	assert_true(world.looks < 10);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void moved(uint32_t row, void *arg)
{
	(void)row;
	(void)arg;
}

static void many_stacks(struct world_thread *t, struct world_stretch *next)
{
	stretch(next, WALL_OFF_CPU, 0, 5 * MS);
	t->cpu_ns += 1000;
}

/* Each look another stack: the generations change all the time. */
static unsigned stack_number;

static void take_room(frame_t frame)
{
	uint64_t now = generations_now(&wall_table);

	if (stacks_child(&generations_at(&wall_table, now)->stacks, 0, frame) == 0)
		(void)generations_next(&wall_table, now);
}

static void totals_are_kept_when_stacks_give_way(void **state)
{
	uint64_t ns = 0;

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		world_add(i % 2 == 0 ? many_stacks : sleeps);
	world_settle();
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t begin_ns = world.now_ns;
		frame_t frame = 0x100000u * ++stack_number;

		for (unsigned k = 0; k < 20; k++)
			take_room(frame + 0x10 * k);
		world_run(99, 10 * MS, 0);
		ns += world.now_ns - begin_ns;
		(void)reclaim_go_on(&wall_table, false, moved, NULL);
	}
	world_settle();
	see();
	assert_true(generations_number(generations_now(&wall_table)) > 2);
	assert_close(seen.all_ns, 20 * ns, 20 * CALLS);
}

static void without_memory_there_is_no_profile(void **state)
{
	(void)state;
	generations_free(&wall_table);
	wall_table.kind = NULL;
	world_add(naps);
	assert_true(wall_go_on(99) == UINT64_MAX);
	world_settle();
	assert_int_equal(world.looks, 0);
	assert_int_equal(wall_init(BUDGET), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thread_that_sleeps_on_is_looked_at_once),
		TEST(totals_are_exact_however_late_the_looks_are),
		TEST(what_waits_for_a_cpu_is_no_sleep),
		TEST(who_wakes_up_late_waits_where_it_slept),
		TEST(windows_one_after_the_other_are_what_one_is),
		TEST(shares_are_right_on_average),
		TEST(a_host_in_step_with_the_ticks_is_seen_as_it_is),
		TEST(our_thread_uses_no_more_than_it_may),
		TEST(a_step_is_short),
		TEST(shares_of_thousands_are_right_on_average),
		TEST(the_highest_rate_is_followed_at_once),
		TEST(who_does_not_answer_is_said_to_run),
		TEST(who_falls_silent_is_not_where_he_was),
		TEST(who_is_hidden_is_counted),
		TEST(who_has_ended_is_not),
		TEST(totals_are_kept_when_stacks_give_way),
		TEST(without_memory_there_is_no_profile),
	};

	return cmocka_run_group_tests_name("wall", tests, NULL, NULL);
}
