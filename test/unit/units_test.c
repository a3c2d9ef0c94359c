#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "fuzz/wall.h"
#include "sampler/units.h"

struct unit_case {
	const char *text;
	int         err;
	uint64_t    value;
};

static void check(const struct unit_case *c, size_t n,
		  int (*parse)(const char *text, size_t len, uint64_t *out))
{
	for (const struct unit_case *end = c + n; c < end; c++) {
		uint64_t value = 77;
		int err = parse(wall_copy(c->text, strlen(c->text)), strlen(c->text), &value);

		if (err != c->err)
			fail_msg("\"%s\": %d, not %d", c->text, err, c->err);
		if (value != (err == 0 ? c->value : 77))
			fail_msg("\"%s\": %llu, not %llu", c->text, (unsigned long long)value,
				 (unsigned long long)c->value);
	}
}

static void plain_numbers_are_digits_and_nothing_else(void **state)
{
	static const struct unit_case cases[] = {
		{ "0", 0, 0 },
		{ "6060", 0, 6060 },
		{ "00000000000000000000000000012", 0, 12 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "k", -EINVAL, 0 },
	};

	(void)state;
	check(cases, COUNT_OF(cases), units_parse_uint);
}

static void sizes_take_k_m_g_with_or_without_b(void **state)
{
	static const struct unit_case cases[] = {
		{ "512k", 0, 524288 },
		{ "512K", 0, 524288 },
		{ "512kB", 0, 524288 },
		{ "512KB", 0, 524288 },
		{ "512kiB", 0, 524288 },
		{ "512KiB", 0, 524288 },
		{ "64m", 0, 64 << 20 },
		{ "64MiB", 0, 64 << 20 },
		{ "64MB", 0, 64 << 20 },
		{ "1g", 0, 1 << 30 },
		{ "1GiB", 0, 1 << 30 },
		{ "1gB", 0, 1 << 30 },
		{ "100", 0, 100 },
		{ "100B", 0, 100 },
		{ "0k", 0, 0 },
		{ "17179869183g", 0, UINT64_C(17179869183) << 30 },
		{ "17179869184g", -ERANGE, 0 },
		{ "18014398509481984k", -ERANGE, 0 },
		{ "99999999999999999999k", -ERANGE, 0 },
		{ "99999999999999999999x", -EINVAL, 0 },
		{ "k", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "1kk", -EINVAL, 0 },
		{ "1 k", -EINVAL, 0 },
		{ "1ki", -EINVAL, 0 },
		{ "1iB", -EINVAL, 0 },
		{ "1kib", -EINVAL, 0 },
		{ "1KiBs", -EINVAL, 0 },
		{ "1t", -EINVAL, 0 },
		{ "1.5m", -EINVAL, 0 },
		{ "-1k", -EINVAL, 0 },
	};

	(void)state;
	check(cases, COUNT_OF(cases), units_parse_size);
}

static void a_zero_byte_is_no_end_of_a_number(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(units_parse_uint("1\0", 2, &value), -EINVAL);
	assert_int_equal(units_parse_size("1k\0", 3, &value), -EINVAL);
	assert_int_equal(units_parse_size("1\0B", 3, &value), -EINVAL);
}

static void times_take_ns_us_ms_s(void **state)
{
	static const struct unit_case cases[] = {
		{ "100", 0, 100 },
		{ "0", 0, 0 },
		{ "7ns", 0, 7 },
		{ "10us", 0, 10000 },
		{ "20ms", 0, 20000000 },
		{ "3600s", 0, UINT64_C(3600000000000) },
		{ "0s", 0, 0 },
		{ "18446744073s", 0, UINT64_C(18446744073000000000) },
		{ "18446744074s", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "us", -EINVAL, 0 },
		{ "1 us", -EINVAL, 0 },
		{ "1US", -EINVAL, 0 },
		{ "1u", -EINVAL, 0 },
		{ "1m", -EINVAL, 0 },
		{ "1ss", -EINVAL, 0 },
		{ "1min", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
	};

	(void)state;
	check(cases, COUNT_OF(cases), units_parse_time);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_numbers_are_digits_and_nothing_else),
		cmocka_unit_test(sizes_take_k_m_g_with_or_without_b),
		cmocka_unit_test(times_take_ns_us_ms_s),
		cmocka_unit_test(a_zero_byte_is_no_end_of_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
