#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/syscall.h>

#include "fake/sys_refused.h"
#include "sampler/os.h"
#include "sampler/spent.h"

static void work(uint64_t ns)
{
	uint64_t end = os_thread_cpu_ns(0) + ns;

	while (os_thread_cpu_ns(0) < end)
		;
}

static int begin(void **state)
{
	(void)state;
	spent_after_fork();
	return 0;
}

/* Two beats each: one in 64 samples of a thread, and not its first ones. */
static void one_sample_in_many_is_timed(void **state)
{
	unsigned due = 0;

	(void)state;
	assert_false(spent_is_due(1));
	for (uint32_t beat = 1; beat < 2 * SPENT_EVERY * 100; beat += 2)
		due += spent_is_due(beat);
	assert_int_equal(due, 100);
}

/* Between what the clock says inside and outside; what a look at it takes is at most what stands
 * between two looks. */
static void it_stands_for_all(void **state)
{
	for (unsigned tick = 0; tick < 2; tick++) {
		struct spent s;
		uint64_t before = os_thread_cpu_ns(0), began, ended, after, got;

		begin(state);
		spent_begin(&s);
		began = os_thread_cpu_ns(0);
		work(200000);
		ended = os_thread_cpu_ns(0);
		spent_end(&s, tick);
		after = os_thread_cpu_ns(0);
		got = spent_ns(tick) / SPENT_EVERY;
		assert_true(got <= after - before);
		assert_true(got + (began - before) >= ended - began);
		assert_int_equal(spent_ns(!tick), 0);
		assert_int_equal(s.begin_ns, 0);
	}
}

static void what_was_spent_adds_up(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct spent s;

		spent_begin(&s);
		work(10000);
		spent_end(&s, true);
		assert_true(spent_ns(true) > last);
		last = spent_ns(true);
	}
	spent_after_fork();
	assert_int_equal(spent_ns(true), 0);
}

/* The program has forbidden itself this call, at any point. */
static void a_clock_that_fails_adds_nothing(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		struct spent s;

		sys_refuse(SYS_clock_gettime, n, -EPERM);
		spent_begin(&s);
		if (s.begin_ns != 0)
			spent_end(&s, true);
		assert_int_equal(sys_refused.seen, n == 3 ? 3 : 2);
		sys_refuse(0, 0, 0);
		assert_int_equal(spent_ns(true), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_sample_in_many_is_timed, begin),
		cmocka_unit_test_setup(it_stands_for_all, begin),
		cmocka_unit_test_setup(what_was_spent_adds_up, begin),
		cmocka_unit_test_setup(a_clock_that_fails_adds_nothing, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
