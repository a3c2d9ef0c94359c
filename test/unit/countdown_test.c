#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sampler/compiler.h"
#include "sampler/countdown.h"

static const uint64_t values[] = { 0, 1, 2, 100, 4096, UINT32_MAX, UINT64_C(1) << 32,
				   INT64_MAX, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1,
				   UINT64_MAX - 1, UINT64_MAX };

static void it_ends_when_as_much_is_taken_as_is_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++)
		for (size_t k = 0; k < COUNT_OF(values); k++) {
			uint64_t left = values[i];

			assert_int_equal(countdown(&left, values[k]), values[k] >= values[i]);
		}
}

static void what_ends_it_is_not_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++)
		for (size_t k = 0; k < COUNT_OF(values); k++) {
			uint64_t left = values[i];
			bool ends = countdown(&left, values[k]);

			assert_true(left == (ends ? values[i] : values[i] - values[k]));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_when_as_much_is_taken_as_is_left),
		cmocka_unit_test(what_ends_it_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
