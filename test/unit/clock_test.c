#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "sampler/clock.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_reader_the_kernel_is_asked),
		cmocka_unit_test(with_a_reader_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
