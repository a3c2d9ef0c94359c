#include "sampler/cpu_due.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sampler/os.h"
#include "sampler/sys.h"

#define MS     1000000u
#define PERIOD (10u * MS)
#define OTHER  4000000

/* CPU clocks that stand still until the test says otherwise: the calling thread's, and OTHER's. */
static struct { uint64_t mine, others; unsigned reads; } cpu;

long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (nr == SYS_clock_gettime && (int)a < 0) {
		struct timespec *t = (struct timespec *)b;
		uint64_t ns = ~((int)a >> 3) == OTHER ? cpu.others : cpu.mine;

		cpu.reads++;
		*t = (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
		return 0;
	}
	result = syscall(nr, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}

/* It has lived for longer than it can have used. */
static struct thread_slot *begin(uint64_t mine)
{
	static struct thread_slot slot;

	slot = (struct thread_slot){ .tid = 1 };
	self.slot = &slot;
	cpu.mine = mine;
	cpu.others = 0;
	cpu.reads = 0;
	return &slot;
}

static void what_no_tick_has_counted_is_counted_at_the_end(void **state)
{
	static const struct { uint64_t first_ms, used_ms, ticks, last; } cases[] = {
		{ 3, 2, 0, 0 }, { 3, 3, 0, 1 }, { 3, 12, 0, 1 }, { 3, 13, 0, 2 }, { 3, 43, 0, 5 },
		{ 3, 13, 1, 1 }, { 3, 13, 2, 0 }, { 10, 9, 0, 0 }, { 10, 10, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct thread_slot *slot = begin(0);

		cpu_due_born(slot, cases[i].first_ms * MS);
		assert_int_equal(cpu_due_tick(slot, cases[i].ticks, PERIOD), 0);
		cpu.mine = cases[i].used_ms * MS;
		assert_int_equal(cpu_due_last(slot, PERIOD), cases[i].last);
		assert_int_equal(cpu_due_last(slot, PERIOD), 0);
	}
}

static void a_timer_that_starts_later_counts_from_then(void **state)
{
	struct thread_slot *slot = begin(500 * MS);

	(void)state;
	cpu_due_start(slot, 1, 4 * MS);
	cpu.mine = 503 * MS;
	assert_int_equal(cpu_due_last(slot, PERIOD), 0);
	cpu_due_start(slot, 1, 4 * MS);
	cpu.mine = 507 * MS;
	assert_int_equal(cpu_due_last(slot, PERIOD), 1);
}

static void who_has_not_lived_so_long_is_not_asked_what_it_used(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	slot->born_ns = os_monotonic_ns();
	cpu_due_born(slot, UINT64_C(3600000) * MS);
	assert_int_equal(cpu_due_last(slot, PERIOD), 0);
	assert_int_equal(cpu.reads, 0);
}

static void a_timer_that_comes_late_leaves_what_is_over_to_the_next_tick(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	cpu_due_born(slot, 4 * MS);
	slot->tid = OTHER;
	self.slot = NULL;               /* our thread does it */
	cpu.others = 26 * MS;
	assert_int_equal(cpu_due_left(slot, OTHER, PERIOD), 8 * MS);
	self.slot = slot;
	assert_int_equal(cpu_due_tick(slot, 1, PERIOD), 3);
	assert_int_equal(cpu_due_tick(slot, 1, PERIOD), 0);
	cpu.mine = 53 * MS;             /* due at 54 */
	assert_int_equal(cpu_due_last(slot, PERIOD), 0);
}

static void what_is_owed_is_counted_at_the_end_too(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	cpu_due_born(slot, 4 * MS);
	cpu.mine = 5 * MS;
	assert_int_equal(cpu_due_left(slot, 1, PERIOD), 9 * MS);
	cpu.mine = 15 * MS;
	assert_int_equal(cpu_due_last(slot, PERIOD), 2);
}

static void before_its_time_nothing_is_over(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	cpu_due_born(slot, 4 * MS);
	cpu.mine = 1 * MS;
	assert_int_equal(cpu_due_left(slot, 1, PERIOD), 3 * MS);
	assert_int_equal(cpu_due_tick(slot, 1, PERIOD), 0);
	cpu_due_stop(slot);
	assert_int_equal(cpu_due_left(slot, 1, PERIOD), 0);
}

static void a_thread_that_stood_still_counts_nothing_at_the_end(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	cpu_due_born(slot, 4 * MS);
	cpu_due_stop(slot);
	cpu.mine = 100 * MS;
	cpu_due_tick(slot, 1, PERIOD);
	assert_int_equal(cpu_due_last(slot, PERIOD), 0);
}

static void what_is_over_when_a_thread_pauses_is_owed(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	slot->timer = 1;
	cpu_due_born(slot, 4 * MS);
	cpu.mine = 3 * MS;
	cpu_due_pause(slot, PERIOD);            /* nothing yet */
	assert_int_equal(cpu_due_tick(slot, 1, PERIOD), 0);
	for (unsigned i = 0; i < 2; i++) {
		cpu_due_start(slot, 1, 2 * MS);
		cpu.mine += 3 * MS;
		cpu_due_pause(slot, PERIOD);
		cpu_due_pause(slot, PERIOD);    /* not twice */
	}
	assert_int_equal(cpu_due_tick(slot, 1, PERIOD), 2);
	cpu_due_start(slot, 1, 2 * MS);
	cpu.mine += 400 * MS;                   /* it cannot be that nobody noticed */
	cpu_due_pause(slot, PERIOD);
	assert_int_equal(cpu_due_last(slot, PERIOD), 0);
}

/* A timer that goes would have been noticed: what was written here is old. */
static void what_cannot_be_is_not_believed(void **state)
{
	struct thread_slot *slot = begin(0);

	(void)state;
	slot->timer = 1;
	cpu_due_born(slot, 4 * MS);
	cpu.mine = 8 * MS;
	assert_int_equal(cpu_due_last(slot, PERIOD), 1);
	cpu_due_born(slot, 4 * MS);
	cpu.mine = 400 * MS;
	assert_int_equal(cpu_due_last(slot, PERIOD), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_tick_has_counted_is_counted_at_the_end),
		cmocka_unit_test(a_timer_that_starts_later_counts_from_then),
		cmocka_unit_test(who_has_not_lived_so_long_is_not_asked_what_it_used),
		cmocka_unit_test(a_timer_that_comes_late_leaves_what_is_over_to_the_next_tick),
		cmocka_unit_test(what_is_owed_is_counted_at_the_end_too),
		cmocka_unit_test(before_its_time_nothing_is_over),
		cmocka_unit_test(a_thread_that_stood_still_counts_nothing_at_the_end),
		cmocka_unit_test(what_is_over_when_a_thread_pauses_is_owed),
		cmocka_unit_test(what_cannot_be_is_not_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
