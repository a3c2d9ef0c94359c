#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/wall.h"
#include "httpd/query.h"

static void the_first_good_pair_of_a_key_wins(void **state)
{
	static const struct {
		const char *query, *key, *value;        /* value NULL: no such key */
	} cases[] = {
		{ "debug=1", "debug", "1" },
		{ "seconds=10&debug=1", "debug", "1" },
		{ "debug=1&debug=0", "debug", "1" },
		{ "debug=&debug=1", "debug", "" },
		{ "debug&debug=1", "debug", "" },
		{ "seconds=10&seconds=10", "seconds", "10" },
		{ "", "debug", NULL },
		{ "Debug=1", "debug", NULL },
		{ "debugs=1", "debug", NULL },
		{ "debu=1", "debug", NULL },
		{ "&&&debug=1&", "debug", "1" },
		{ "debug=a=b", "debug", "a=b" },
		{ "=5", "", "5" },
		{ "a=1;debug=2", "debug", NULL },
		{ "a=1&debug=2;x", "debug", NULL },
		{ "a=1;b&debug=2", "debug", "2" },
		{ "de;bug=1&debug=2", "debug", "2" },
		{ "%64ebu%67=1", "debug", "1" },
		{ "debug=%31", "debug", "1" },
		{ "debug=a+b%2Bc%2b", "debug", "a b+c+" },
		{ "de+bug=1", "de bug", "1" },
		{ "debug=%3B", "debug", ";" },
		{ "debug=%zz&debug=2", "debug", "2" },
		{ "debug=%", "debug", NULL },
		{ "debug=%4", "debug", NULL },
		{ "debug=1%4", "debug", NULL },
		{ "debug=%4g&debug=3", "debug", "3" },
		{ "%=1&debug=2", "debug", "2" },
		{ "debug%zz=1&debug=2", "debug", "2" },
		{ "debug?=1", "debug", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t len = strlen(cases[i].query);
		char *out = wall_room(16);
		ssize_t n = query_find(wall_copy(cases[i].query, len), len, cases[i].key, out, 16);

		if (cases[i].value == NULL ? n != -1 : n != (ssize_t)strlen(cases[i].value) ||
						       strcmp(out, cases[i].value) != 0)
			fail_msg("%s of %s: %zd, not %s", cases[i].key, cases[i].query, n,
				 cases[i].value != NULL ? cases[i].value : "(none)");
	}
}

static void a_long_value_is_cut_and_its_length_told(void **state)
{
	static const char query[] = "name=abc%64efgh";

	(void)state;
	for (size_t cap = 1; cap < 12; cap++) {
		char *out = wall_room(cap);
		size_t fits = cap - 1 < 8 ? cap - 1 : 8;

		assert_int_equal(query_find(query, sizeof(query) - 1, "name", out, cap), 8);
		assert_memory_equal(out, "abcdefgh", fits);
		assert_int_equal(out[fits], 0);
	}
}

static void a_value_may_hold_a_zero_byte(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(query_find("x=a%00b", 7, "x", out, sizeof(out)), 3);
	assert_memory_equal(out, "a\0b", 4);
}

static void integers_follow_atoi_of_go(void **state)
{
	static const struct {
		const char *query;
		int         want;
		int64_t     value;
	} cases[] = {
		{ "n=30", QUERY_INT, 30 },
		{ "n=0", QUERY_INT, 0 },
		{ "n=-5", QUERY_INT, -5 },
		{ "n=-0", QUERY_INT, 0 },
		{ "n=%2B7", QUERY_INT, 7 },
		{ "n=007", QUERY_INT, 7 },
		{ "n=%2B000000000000000000000000000000000000000000000000000000009", QUERY_INT, 9 },
		{ "n=9223372036854775807", QUERY_INT, INT64_MAX },
		{ "n=-9223372036854775808", QUERY_INT, INT64_MIN },
		{ "n=%31%30", QUERY_INT, 10 },
		{ "n=9223372036854775808", QUERY_BAD, 0 },
		{ "n=-9223372036854775809", QUERY_BAD, 0 },
		{ "n=99999999999999999999999999", QUERY_BAD, 0 },
		{ "n=+7", QUERY_BAD, 0 },       /* a + in a query is a blank */
		{ "n=1.5", QUERY_BAD, 0 },
		{ "n=0x1", QUERY_BAD, 0 },
		{ "n=1_000", QUERY_BAD, 0 },
		{ "n=1e3", QUERY_BAD, 0 },
		{ "n=1:", QUERY_BAD, 0 },
		{ "n=1/", QUERY_BAD, 0 },
		{ "n=abc", QUERY_BAD, 0 },
		{ "n=-", QUERY_BAD, 0 },
		{ "n=%2B", QUERY_BAD, 0 },
		{ "n=%2B-1", QUERY_BAD, 0 },
		{ "n=--1", QUERY_BAD, 0 },
		{ "n=1%00", QUERY_BAD, 0 },
		{ "n=1+", QUERY_BAD, 0 },
		{ "n=", QUERY_ABSENT, 0 },
		{ "n", QUERY_ABSENT, 0 },
		{ "m=1", QUERY_ABSENT, 0 },
		{ "n=&n=4", QUERY_ABSENT, 0 },
		{ "n=%zz&n=4", QUERY_INT, 4 },
		{ "n=4&n=5", QUERY_INT, 4 },
		{ "n=4;&n=5", QUERY_INT, 5 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t len = strlen(cases[i].query);
		const char *query = wall_copy(cases[i].query, len);
		int64_t value = 77;
		int got = query_int(query, len, "n", &value);

		if (got != cases[i].want || value != (got == QUERY_INT ? cases[i].value : 77))
			fail_msg("%s: %d, %lld", cases[i].query, got, (long long)value);
		value = query_int_or(query, len, "n", -42);
		if (value != (got == QUERY_INT ? cases[i].value : -42))
			fail_msg("%s: or gives %lld", cases[i].query, (long long)value);
	}
}

static void pairs_come_in_order_and_undecoded(void **state)
{
	static const char query[] = "&a=1&&b&=c&%zz=;&";
	static const struct { const char *key, *value; } want[] = {
		{ "a", "1" }, { "b", "" }, { "", "c" }, { "%zz", ";" },
	};
	const char *in = wall_copy(query, sizeof(query) - 1);
	struct query_pair pair;
	size_t at = 0, n = 0;

	(void)state;
	for (; query_next(in, sizeof(query) - 1, &at, &pair); n++) {
		assert_true(n < COUNT_OF(want));
		assert_int_equal(pair.key_len, strlen(want[n].key));
		assert_memory_equal(pair.key, want[n].key, pair.key_len);
		assert_int_equal(pair.value_len, strlen(want[n].value));
		assert_memory_equal(pair.value, want[n].value, pair.value_len);
	}
	assert_int_equal(n, COUNT_OF(want));
	assert_int_equal(at, sizeof(query) - 1);
}

static void hexadecimal_digits_are_these_and_no_others(void **state)
{
	static const char digits[] = "0123456789abcdef";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char lower = c >= 'A' && c <= 'F' ? (char)(c + 32) : (char)c;
		const char *found = memchr(digits, lower, 16);

		assert_int_equal(query_hex((char)c), found != NULL ? found - digits : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_good_pair_of_a_key_wins),
		cmocka_unit_test(a_long_value_is_cut_and_its_length_told),
		cmocka_unit_test(a_value_may_hold_a_zero_byte),
		cmocka_unit_test(integers_follow_atoi_of_go),
		cmocka_unit_test(pairs_come_in_order_and_undecoded),
		cmocka_unit_test(hexadecimal_digits_are_these_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
