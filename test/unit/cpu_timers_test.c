#include "sampler/cpu_timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/paper_timers.h"
#include "sampler/status.h"

/* What /proc would say. */
static struct { bool readable; uint64_t queued; } proc;

bool status_read(int tid, struct status *s)
{
	assert_int_equal(tid, 0);
	s->queued = proc.queued;
	return proc.readable;
}

static int fresh(void **state)
{
	(void)state;
	paper_reset();
	proc.readable = true;
	proc.queued = 0;
	cpu_timers_after_fork();
	return 0;
}

/* Takes as many as it gets; returns how many. */
static unsigned take_all(void)
{
	unsigned n = 0;

	while (n < 100 && cpu_timers_create(77) > 0)
		n++;
	return n;
}

static void a_quarter_of_what_is_left_is_ours(void **state)
{
	static const struct { uint64_t limit, queued; unsigned ours; } cases[] = {
		{ 64, 0, 16 }, { 64, 24, 10 }, { 67, 0, 16 }, { 4, 0, 1 }, { 3, 0, 1 },
		{ 2, 0, 0 },   { 1, 0, 0 },    { 0, 0, 0 },   { 64, 61, 1 }, { 64, 64, 0 },
		{ 64, 90, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fresh(NULL);
		paper.limit = cases[i].limit;
		proc.queued = cases[i].queued;
		cpu_timers_read();
		assert_int_equal(cpu_timers_max(), cases[i].ours);
		assert_int_equal(take_all(), cases[i].ours);
		assert_int_equal(paper_count(), cases[i].ours);
		assert_int_equal(cpu_timers_create(77), -EAGAIN);
	}
}

static void without_a_limit_there_is_none(void **state)
{
	(void)state;
	proc.queued = 1000000;
	cpu_timers_read();
	assert_int_equal(take_all(), 100);
}

/* Those of ours are in the kernel's number too. */
static void ours_count_as_ours(void **state)
{
	(void)state;
	paper.limit = 64;
	cpu_timers_read();
	assert_int_equal(take_all(), 16);
	proc.queued = 16 + 8;
	cpu_timers_read();
	assert_int_equal(cpu_timers_max(), (64 - 8) / 4);
	assert_int_equal(cpu_timers_taken(), 16);
	proc.queued = 3;                /* of another user by now: setuid */
	cpu_timers_read();
	assert_int_equal(cpu_timers_max(), 16);
}

static void without_proc_the_limit_alone_counts(void **state)
{
	(void)state;
	paper.limit = 64;
	proc.readable = false;
	proc.queued = 60;
	cpu_timers_read();
	assert_int_equal(cpu_timers_max(), 16);
}

static void what_is_given_back_can_be_taken_again(void **state)
{
	int timer;

	(void)state;
	paper.limit = 4;
	cpu_timers_read();
	for (int i = 0; i < 10; i++) {
		timer = cpu_timers_create(77);
		assert_true(timer > 0);
		assert_int_equal(cpu_timers_create(77), -EAGAIN);
		cpu_timers_delete(timer);
	}
	cpu_timers_delete(0);
	cpu_timers_delete(-1);
	assert_int_equal(paper_count(), 0);
	assert_int_equal(cpu_timers_taken(), 0);
}

static void what_the_kernel_refuses_is_not_counted_as_taken(void **state)
{
	(void)state;
	paper.limit = 64;
	paper.room = 2;
	cpu_timers_read();
	assert_int_equal(take_all(), 2);
	assert_int_equal(cpu_timers_taken(), 2);
}

static void to_a_fork_child_its_parents_are_others(void **state)
{
	(void)state;
	paper.limit = 64;
	cpu_timers_read();
	assert_int_equal(take_all(), 16);
	cpu_timers_after_fork();
	assert_int_equal(cpu_timers_taken(), 0);
	assert_int_equal(cpu_timers_max(), (64 - 16) / 4);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_quarter_of_what_is_left_is_ours),
		TEST(without_a_limit_there_is_none),
		TEST(ours_count_as_ours),
		TEST(without_proc_the_limit_alone_counts),
		TEST(what_is_given_back_can_be_taken_again),
		TEST(what_the_kernel_refuses_is_not_counted_as_taken),
		TEST(to_a_fork_child_its_parents_are_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
