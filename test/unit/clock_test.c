#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "sampler/clock.h"
#include "sampler/os.h"

static int noon(clockid_t clock, struct timespec *t)
{
	*t = (struct timespec){ 43200, clock };
	return 0;
}

static void without_a_reader_the_kernel_is_asked(void **state)
{
	struct timespec t, libcs;

	(void)state;
	clock_set_reader(NULL);
	assert_int_equal(clock_read(CLOCK_REALTIME, &t), 0);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &libcs), 0);
	assert_in_range(libcs.tv_sec - t.tv_sec, 0, 60);
	errno = 4711;
	assert_int_equal(clock_read(12345, &t), -EINVAL);
	assert_int_equal(errno, 4711);
}

static void with_a_reader_it_is_asked(void **state)
{
	struct timespec t;

	(void)state;
	clock_set_reader(noon);
	assert_int_equal(clock_read(CLOCK_MONOTONIC, &t), 0);
	assert_true(t.tv_sec == 43200 && t.tv_nsec == CLOCK_MONOTONIC);
}

/* One timeline: at most a step behind, and never ahead. */
static void the_coarse_time_is_behind_by_a_step_at_most(void **state)
{
	uint64_t step = os_coarse_step_ns();

	(void)state;
	assert_in_range(step, 1000000, 10000000);       /* CONFIG_HZ_1000 to _100 */
	clock_set_reader(clock_gettime);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t before = os_monotonic_ns(), coarse = os_coarse_ns();

		assert_in_range(coarse, 1, os_monotonic_ns());
		/* A virtual processor may be away when its tick is due: only once. */
		if (coarse + 2 * step > before)
			return;
	}
	fail_msg("a thousand times two steps behind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_reader_the_kernel_is_asked),
		cmocka_unit_test(with_a_reader_it_is_asked),
		cmocka_unit_test(the_coarse_time_is_behind_by_a_step_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
