/* The CPU timers of a fork child. */
#include "sampler/cpu_ctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/paper_threads.h"
#include "sampler/cpu.h"

static void forget_timers(void)
{
	memset(paper.timer, 0, sizeof(paper.timer));
	threads_after_fork();
}

static bool was_early(void)
{
	return true;
}

static void tick_early(void)
{
	const siginfo_t info = { .si_code = SI_TIMER };
	const ucontext_t uc = { .uc_stack = { .ss_flags = SS_DISABLE } };

	cpu_at_next_tick(was_early);
	cpu_tick(&info, &uc);
}

/* And the next one anywhere again: else all children would tick at the same places. */
static void a_fork_child_has_one_timer_and_its_first_tick_is_early(void **state)
{
	(void)state;
	cpu_ctl_one_for_all(true);
	cpu_ctl_desk_works(true);
	assert_true(cpu_ctl_hold_other(other[0], other[0]->held));
	forget_timers();
	assert_true(cpu_ctl_after_fork(PERIOD * 10));
	assert_int_equal(paper_count(), 1);
	assert_int_equal(mine()->first_ns, PERIOD * 10);
	assert_int_equal(mine()->period_ns, PERIOD);
	assert_int_equal(cpu_timers_taken(), 1);
	tick_early();
	assert_in_range(mine()->first_ns, 1, PERIOD);
	cpu_ctl_one_for_all(true);
	assert_true(goes(the_one()));   /* nobody who is not there holds it */
}

/* Its parent's windows are not its own. */
static void a_fork_child_has_the_rate_that_nobody_raised(void **state)
{
	(void)state;
	cpu_ctl_raise_hz(HZ * 2);
	forget_timers();
	assert_true(cpu_ctl_wake_child(PERIOD * 10));
	assert_int_equal(mine()->period_ns, PERIOD);
	assert_true(cpu_ctl_after_fork(PERIOD * 10));
	assert_int_equal(cpu_period(), PERIOD);
	assert_int_equal(cpu_ctl_hz_now(), HZ);
	cpu_ctl_set_hz(HZ / 2);
	assert_int_equal(cpu_ctl_hz_now(), HZ / 2);
}

static void a_fork_child_does_not_sample_for_its_parents_windows_alone(void **state)
{
	(void)state;
	cpu_ctl_set_hz(0);
	cpu_ctl_raise_hz(HZ);
	forget_timers();
	assert_false(cpu_ctl_wake_child(PERIOD * 10));
	assert_false(cpu_ctl_after_fork(PERIOD * 10));
	assert_int_equal(paper_count(), 0);
	assert_false(cpu_ctl_ticks());
}

static void a_fork_child_that_is_held_ticks_when_it_is_not(void **state)
{
	(void)state;
	cpu_ctl_hold(CPU_HOLD_MASK);
	forget_timers();
	assert_true(cpu_ctl_after_fork(PERIOD * 10));
	assert_false(goes(mine()));
	cpu_ctl_release(CPU_HOLD_MASK);
	assert_true(goes(mine()));
}

static void a_fork_child_knows_that_no_tick_will_come(void **state)
{
	(void)state;
	forget_timers();
	paper.room = 0;
	assert_false(cpu_ctl_after_fork(1));
	paper.room = 1;
	cpu_ctl_ignore(true);
	assert_false(cpu_ctl_after_fork(1));
}

/* --- a child that settles later -------------------------------------------------------------- */

static unsigned settled;

static void settle(void)
{
	settled++;
	threads_after_fork();
	assert_true(cpu_ctl_after_fork(PERIOD));
	self.phase = SELF_READY;
}

/* As preload/fork.c: the memory of slots and timers is still the parent's. */
static void fork_to_settle_later(void)
{
	settled = 0;
	threads_when_settling(settle);
	memset(paper.timer, 0, sizeof(paper.timer));
	assert_true(cpu_ctl_wake_child(PERIOD * 10));
	self.phase = SELF_CHILD;
}

static void a_fork_child_waits_with_all_but_its_timer(void **state)
{
	int before = self.slot->timer;
	unsigned taken = cpu_timers_taken();

	(void)state;
	fork_to_settle_later();
	assert_int_equal(paper_count(), 1);
	assert_int_equal(mine()->first_ns, PERIOD * 10);
	assert_int_equal(self.slot->timer, before);
	assert_int_equal(cpu_timers_taken(), taken);
	cpu_ctl_release(CPU_HOLD_MASK);         /* it was not held */
	assert_int_equal(settled, 0);
	threads_settle();
	threads_settle();
	assert_int_equal(settled, 1);
	assert_int_equal(self.phase, SELF_READY);
	assert_int_equal(paper_count(), 1);     /* that one, not another */
	assert_int_equal(mine()->first_ns, PERIOD * 10);
	assert_int_equal(cpu_timers_taken(), 1);
}

static void a_fork_child_that_is_held_settles_before(void **state)
{
	(void)state;
	fork_to_settle_later();
	cpu_ctl_hold(CPU_HOLD_MASK);
	assert_int_equal(settled, 1);
	assert_false(goes(mine()));
	cpu_ctl_release(CPU_HOLD_MASK);
	assert_true(goes(mine()));
}

static void a_vfork_child_of_it_does_not_settle(void **state)
{
	(void)state;
	fork_to_settle_later();
	self.tid++;
	threads_settle();
	assert_int_equal(settled, 0);
	self.tid--;
	threads_settle();
	assert_int_equal(settled, 1);
}

static void a_fork_child_settles_at_once_where_no_tick_would_come(void **state)
{
	(void)state;
	paper.room = 0;
	assert_false(cpu_ctl_wake_child(1));
	paper.room = PAPER_TIMERS;
	cpu_ctl_ignore(true);
	assert_false(cpu_ctl_wake_child(1));
	cpu_ctl_ignore(false);
	cpu_ctl_hold(CPU_HOLD_MASK);
	assert_false(cpu_ctl_wake_child(1));
	cpu_ctl_release(CPU_HOLD_MASK);
	cpu_ctl_one_for_all(true);
	assert_false(cpu_ctl_wake_child(1));
	cpu_ctl_one_for_all(false);
	cpu_ctl_set_hz(0);
	self.child_timer = 77;          /* of a parent that has not settled */
	assert_false(cpu_ctl_wake_child(1));
	assert_int_equal(self.child_timer, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fork_child_has_one_timer_and_its_first_tick_is_early),
		TEST(a_fork_child_has_the_rate_that_nobody_raised),
		TEST(a_fork_child_does_not_sample_for_its_parents_windows_alone),
		TEST(a_fork_child_that_is_held_ticks_when_it_is_not),
		TEST(a_fork_child_knows_that_no_tick_will_come),
		TEST(a_fork_child_waits_with_all_but_its_timer),
		TEST(a_fork_child_that_is_held_settles_before),
		TEST(a_vfork_child_of_it_does_not_settle),
		TEST(a_fork_child_settles_at_once_where_no_tick_would_come),
	};

	threads_init(16);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
