#include "sampler/cpu_ctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/paper_threads.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_timers.h"
#include "sampler/os.h"
#include "sampler/self.h"

static void a_timer_goes_with_the_period_from_anywhere_in_it(void **state)
{
	uint64_t least = PERIOD, most = 0;

	(void)state;
	assert_int_equal(mine()->period_ns, PERIOD);
	for (int i = 0; i < 1000; i++) {
		cpu_ctl_set_hz(HZ);
		least = mine()->first_ns < least ? mine()->first_ns : least;
		most = mine()->first_ns > most ? mine()->first_ns : most;
		assert_in_range(mine()->first_ns, 1, PERIOD);
	}
	/* All of 1000 draws miss the first or last tenth: 2 * 0.9^1000, 10^-45. */
	assert_true(least < PERIOD / 10 && most > PERIOD / 10 * 9);
}

static void a_thread_that_is_held_for_two_reasons_needs_both_to_end(void **state)
{
	(void)state;
	assert_true(cpu_ctl_hold(CPU_HOLD_MASK));
	assert_false(goes(mine()));
	assert_false(cpu_ctl_hold(CPU_HOLD_MASK));
	assert_true(cpu_ctl_hold(CPU_HOLD_STACK));
	cpu_ctl_release(CPU_HOLD_MASK);
	assert_false(goes(mine()));
	cpu_ctl_release(CPU_HOLD_STACK);
	assert_true(goes(mine()));
	assert_in_range(mine()->first_ns, 1, PERIOD);
	/* The others' never stood still. */
	assert_int_equal(paper_going(), 1 + OTHERS);
}

static void a_new_rate_does_not_start_who_is_held(void **state)
{
	(void)state;
	cpu_ctl_hold(CPU_HOLD_STACK);
	cpu_ctl_set_hz(HZ / 2);
	assert_false(goes(mine()));
	assert_int_equal(paper_of(OTHER_TID(0))->period_ns, 2 * PERIOD);
	cpu_ctl_release(CPU_HOLD_STACK);
	assert_int_equal(mine()->period_ns, 2 * PERIOD);
}

static void a_release_without_a_hold_leaves_the_timer_alone(void **state)
{
	unsigned sets = mine()->sets;

	(void)state;
	cpu_ctl_release(CPU_HOLD_MASK);
	cpu_ctl_release(CPU_HOLD_STACK);
	assert_int_equal(mine()->sets, sets);
}

/* A vfork child has our memory, but it is another; so has one that was made past our doors, which
 * has no mark. */
static void in_a_vfork_child_nothing_changes(void **state)
{
	int tid = self.tid;
	uint32_t held = self.slot->held;

	(void)state;
	self.tid = tid + 1;
	assert_false(cpu_ctl_hold(CPU_HOLD_MASK));
	assert_int_equal(self.slot->held, held);
	assert_true(goes(mine()));
	self.tid = tid;
	cpu_ctl_hold(CPU_HOLD_MASK);
	self.tid = tid + 1;
	cpu_ctl_release(CPU_HOLD_MASK);
	self.tid = tid;
	assert_false(goes(mine()));
	cpu_ctl_release(CPU_HOLD_MASK);
	assert_true(goes(mine()));
}

static void what_the_thread_did_meanwhile_wins_over_the_scan(void **state)
{
	uint32_t seen;

	(void)state;
	cpu_ctl_hold(CPU_HOLD_MASK);
	seen = self.slot->held;
	cpu_ctl_hold(CPU_HOLD_MASK);    /* again: it is in the door now */
	assert_false(cpu_ctl_release_other(self.slot, seen));
	assert_false(goes(mine()));
	assert_true(cpu_ctl_release_other(self.slot, self.slot->held));
	assert_true(goes(mine()));
	seen = self.slot->held;
	cpu_ctl_hold(CPU_HOLD_STACK);
	cpu_ctl_release(CPU_HOLD_STACK);
	assert_false(cpu_ctl_hold_other(self.slot, seen));
	assert_true(goes(mine()));
	assert_true(cpu_ctl_hold_other(self.slot, self.slot->held));
	assert_false(goes(mine()));
	cpu_ctl_hold(CPU_HOLD_STACK);
	assert_true(cpu_ctl_release_other(self.slot, self.slot->held));
	assert_false(goes(mine()));     /* for the other reason */
	cpu_ctl_release(CPU_HOLD_STACK);
	assert_true(goes(mine()));
}

static void hold_now(void)
{
	cpu_ctl_hold(CPU_HOLD_MASK);
}

/* Whoever starts a timer looks again: the thread may have been faster. */
static void a_hold_between_the_look_and_the_start_is_not_lost(void **state)
{
	(void)state;
	cpu_ctl_hold(CPU_HOLD_MASK);
	paper.meanwhile = hold_now;
	assert_true(cpu_ctl_release_other(self.slot, self.slot->held));
	assert_false(goes(mine()));
}

static void release_now(void)
{
	cpu_ctl_release(CPU_HOLD_MASK);
}

/* The other way round: our thread holds it and stops its timer after it has started it again. */
static void a_release_between_the_hold_and_the_stop_is_not_lost(void **state)
{
	(void)state;
	paper.meanwhile = release_now;
	assert_true(cpu_ctl_hold_other(self.slot, self.slot->held));
	assert_true(goes(mine()));
	cpu_ctl_one_for_all(true);
	paper.meanwhile = release_now;
	assert_true(cpu_ctl_hold_other(self.slot, self.slot->held));
	assert_true(goes(paper_of(0)));
	cpu_ctl_one_for_all(false);
}

/* --- a timer in the making --------------------------------------------------------------------- */

static void leave_other(void)
{
	cpu_ctl_leave(other[0]);
}

static void leave_and_release_other(void)
{
	cpu_ctl_leave(other[0]);
	threads_release(other[0]);
	assert_ptr_equal(threads_claim(), other[0]);
	other[0]->tid = 77;
}

static void all_for_one(void)
{
	cpu_ctl_one_for_all(true);
}

static void switch_off(void)
{
	cpu_ctl_set_hz(0);
}

static void arm_other(void (*meanwhile)(void))
{
	cpu_ctl_disarm(other[0]);
	paper.before_create = meanwhile;
	cpu_ctl_arm(other[0]);
	assert_null(paper.before_create);
	assert_int_equal(other[0]->timer, 0);
}

static void a_thread_that_ends_while_its_timer_is_made_leaves_none(void **state)
{
	(void)state;
	arm_other(leave_other);
	assert_int_equal(paper_count(), OTHERS);
	assert_int_equal(cpu_timers_taken(), OTHERS);
	cpu_ctl_arm(other[0]);          /* nobody is there: and not that of the process */
	assert_int_equal(paper_count(), OTHERS);
	other[0]->tid = OTHER_TID(0);
	arm_other(leave_and_release_other);
	assert_int_equal(paper_count(), OTHERS);
	assert_int_equal(cpu_timers_taken(), OTHERS);
	assert_int_equal(count_get(COUNT_THREAD_NO_TIMER), 0);
	cpu_ctl_arm(other[0]);          /* the next one has its own */
	assert_true(goes(paper_of(77)));
	cpu_ctl_leave(other[0]);
	threads_release(other[0]);
}

static void what_is_told_to_all_holds_for_a_timer_that_is_being_made(void **state)
{
	(void)state;
	arm_other(all_for_one);
	assert_int_equal(paper_count(), 1);
	assert_true(goes(paper_of(0)));
	cpu_ctl_one_for_all(false);
	assert_int_equal(paper_count(), 1 + OTHERS);
	arm_other(switch_off);
	assert_int_equal(paper_count(), 0);
}

/* --- rates ------------------------------------------------------------------------------------- */

static uint64_t weight;

static void look_at_weight(void)
{
	weight = cpu_period();
}

/* While timers of the old rate go, a tick counts for the shorter one of both. */
static void a_tick_never_counts_for_more_than_it_has_seen(void **state)
{
	(void)state;
	paper.meanwhile = look_at_weight;
	cpu_ctl_set_hz(HZ / 10);
	assert_int_equal(weight, PERIOD);
	assert_int_equal(cpu_period(), 10 * PERIOD);
	assert_int_equal(mine()->period_ns, 10 * PERIOD);
	paper.meanwhile = look_at_weight;
	cpu_ctl_set_hz(HZ);
	assert_int_equal(weight, PERIOD);
	assert_int_equal(cpu_period(), PERIOD);
}

static void a_raised_rate_holds_until_it_is_taken_back(void **state)
{
	unsigned sets;

	(void)state;
	cpu_ctl_raise_hz(HZ * 2);
	assert_int_equal(mine()->period_ns, PERIOD / 2);
	assert_int_equal(cpu_period(), PERIOD / 2);
	assert_int_equal(cpu_ctl_hz(), HZ);
	assert_int_equal(cpu_ctl_hz_now(), HZ * 2);
	sets = mine()->sets;
	cpu_ctl_raise_hz(HZ * 2);
	assert_int_equal(mine()->sets, sets);   /* nothing changes: no phase is lost */
	cpu_ctl_set_hz(HZ / 2);                 /* meanwhile somebody sets the other one */
	assert_int_equal(mine()->period_ns, PERIOD / 2);
	cpu_ctl_raise_hz(HZ / 4);               /* less than there is anyhow */
	assert_int_equal(mine()->period_ns, PERIOD * 2);
	cpu_ctl_raise_hz(0);
	assert_int_equal(cpu_ctl_hz_now(), HZ / 2);
	assert_int_equal(paper_going(), 1 + OTHERS);
}

static void where_sampling_is_off_a_raised_rate_is_all_there_is(void **state)
{
	(void)state;
	cpu_ctl_set_hz(0);
	assert_int_equal(paper_count(), 0);
	cpu_ctl_raise_hz(HZ);
	assert_true(cpu_ctl_ticks());
	assert_int_equal(paper_going(), 1 + OTHERS);
	assert_int_equal(mine()->period_ns, PERIOD);
	cpu_ctl_raise_hz(0);
	assert_int_equal(paper_count(), 0);
	assert_false(cpu_ctl_ticks());
}

static void while_sigprof_is_ignored_all_stand_still(void **state)
{
	(void)state;
	cpu_ctl_hold(CPU_HOLD_MASK);
	cpu_ctl_ignore(true);
	assert_false(cpu_ctl_ticks());
	assert_int_equal(paper_going(), 0);
	cpu_ctl_set_hz(HZ / 2);
	cpu_ctl_release(CPU_HOLD_MASK);
	assert_int_equal(paper_going(), 0);
	cpu_ctl_hold(CPU_HOLD_STACK);
	cpu_ctl_ignore(false);
	assert_true(cpu_ctl_ticks());
	assert_false(goes(mine()));
	assert_int_equal(paper_going(), OTHERS);
	assert_in_range(paper_of(OTHER_TID(1))->first_ns, 1, 2 * PERIOD);
}

static void a_thread_without_a_timer_is_counted_once(void **state)
{
	struct thread_slot *s = threads_claim();

	(void)state;
	(void)cpu_ctl_was_short();
	paper.room = 1 + OTHERS;
	s->tid = 77;
	for (int i = 0; i < 3; i++)
		cpu_ctl_arm(s);
	assert_int_equal(count_get(COUNT_THREAD_NO_TIMER), 1);
	assert_true(cpu_ctl_was_short());
	assert_false(cpu_ctl_was_short());
	paper.room = PAPER_TIMERS;
	cpu_ctl_arm(s);
	assert_true(goes(paper_of(77)));
	cpu_ctl_leave(s);
	threads_release(s);
}

/* It was in the list of threads, and has ended since: that is no lack of timers. */
static void a_thread_that_has_gone_needs_no_timer(void **state)
{
	struct thread_slot *s = threads_claim();

	(void)state;
	(void)cpu_ctl_was_short();
	paper.gone = s->tid = 77;
	cpu_ctl_arm(s);
	assert_null(paper_of(77));
	assert_false(s->no_timer);
	assert_false(cpu_ctl_was_short());
	assert_int_equal(count_get(COUNT_THREAD_NO_TIMER), 0);
	cpu_ctl_leave(s);
	threads_release(s);
}

/* --- one for all ----------------------------------------------------------------------------- */

static void one_timer_stands_in_for_all(void **state)
{
	struct thread_slot *s = threads_claim();

	(void)state;
	cpu_ctl_one_for_all(true);
	assert_int_equal(paper_count(), 1);
	assert_int_equal(the_one()->period_ns, PERIOD);
	assert_int_equal(cpu_timers_taken(), 1);
	s->tid = 77;
	cpu_ctl_arm(s);                 /* one that is born meanwhile */
	assert_int_equal(paper_count(), 1);
	cpu_ctl_set_hz(HZ / 4);
	assert_int_equal(the_one()->period_ns, 4 * PERIOD);
	cpu_ctl_one_for_all(false);
	assert_null(the_one());
	assert_int_equal(paper_going(), 2 + OTHERS);
	cpu_ctl_leave(s);
	threads_release(s);
}

static void the_one_stands_still_while_anybody_is_held(void **state)
{
	(void)state;
	cpu_ctl_one_for_all(true);
	assert_true(cpu_ctl_hold_other(other[0], other[0]->held));
	assert_false(goes(the_one()));
	cpu_ctl_hold(CPU_HOLD_STACK);
	cpu_ctl_hold(CPU_HOLD_MASK);
	assert_true(cpu_ctl_release_other(other[0], other[0]->held));
	cpu_ctl_release(CPU_HOLD_STACK);
	assert_false(goes(the_one()));
	cpu_ctl_release(CPU_HOLD_MASK);
	assert_true(goes(the_one()));
	/* Who was held before it came, and who ends held. */
	cpu_ctl_one_for_all(false);
	assert_true(cpu_ctl_hold_other(other[1], other[1]->held));
	cpu_ctl_one_for_all(true);
	assert_false(goes(the_one()));
	cpu_ctl_leave(other[1]);
	threads_release(other[1]);
	assert_true(goes(the_one()));
}

static void the_one_stands_still_while_our_thread_works(void **state)
{
	(void)state;
	cpu_ctl_one_for_all(true);
	cpu_ctl_desk_works(true);
	assert_false(goes(the_one()));
	cpu_ctl_hold(CPU_HOLD_MASK);
	cpu_ctl_release(CPU_HOLD_MASK);
	cpu_ctl_set_hz(HZ);
	assert_false(goes(the_one()));
	cpu_ctl_desk_works(false);
	assert_true(goes(the_one()));
	cpu_ctl_ignore(true);
	assert_false(goes(the_one()));
	cpu_ctl_ignore(false);
	assert_true(goes(the_one()));
	cpu_ctl_set_hz(0);
	assert_int_equal(paper_count(), 0);
}

/* Own timers of threads do not count what our thread uses. */
static void own_timers_go_while_our_thread_works(void **state)
{
	(void)state;
	cpu_ctl_desk_works(true);
	assert_int_equal(paper_going(), 1 + OTHERS);
}

static void where_not_even_one_is_to_be_had_it_is_tried_again(void **state)
{
	(void)state;
	paper.room = 0;
	cpu_ctl_one_for_all(true);
	assert_int_equal(paper_count(), 0);
	assert_true(cpu_ctl_is_one_for_all());
	paper.room = 1;
	cpu_ctl_one_for_all(true);
	assert_true(goes(the_one()));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_timer_goes_with_the_period_from_anywhere_in_it),
		TEST(a_thread_that_is_held_for_two_reasons_needs_both_to_end),
		TEST(a_new_rate_does_not_start_who_is_held),
		TEST(a_release_without_a_hold_leaves_the_timer_alone),
		TEST(in_a_vfork_child_nothing_changes),
		TEST(what_the_thread_did_meanwhile_wins_over_the_scan),
		TEST(a_hold_between_the_look_and_the_start_is_not_lost),
		TEST(a_release_between_the_hold_and_the_stop_is_not_lost),
		TEST(a_thread_that_ends_while_its_timer_is_made_leaves_none),
		TEST(what_is_told_to_all_holds_for_a_timer_that_is_being_made),
		TEST(a_tick_never_counts_for_more_than_it_has_seen),
		TEST(a_raised_rate_holds_until_it_is_taken_back),
		TEST(where_sampling_is_off_a_raised_rate_is_all_there_is),
		TEST(while_sigprof_is_ignored_all_stand_still),
		TEST(a_thread_without_a_timer_is_counted_once),
		TEST(a_thread_that_has_gone_needs_no_timer),
		TEST(one_timer_stands_in_for_all),
		TEST(the_one_stands_still_while_anybody_is_held),
		TEST(the_one_stands_still_while_our_thread_works),
		TEST(own_timers_go_while_our_thread_works),
		TEST(where_not_even_one_is_to_be_had_it_is_tried_again),
	};

	threads_init(16);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
