#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encode/json.h"
#include "encode/utf8.h"
#include "sampler/compiler.h"

static char text[4096];

static const char *string_of(const char *from)
{
	struct buf b = buf_bounded(text, sizeof(text));

	json_string(&b, from);
	buf_end(&b);
	return text;
}

static void each_case_is_written_as_json_wants_it(void **state)
{
	static const char *const as[][2] = {
		{ "", "\"\"" },
		{ "main", "\"main\"" },
		{ "operator\"\"_km(a/b)", "\"operator\\\"\\\"_km(a/b)\"" },
		{ "C:\\x", "\"C:\\\\x\"" },
		{ "a\nb\tc\rd\be\ff", "\"a\\nb\\tc\\rd\\be\\ff\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
		{ "caf\xc3\xa9 \xf0\x9f\x98\x80", "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"" },
		{ "a\xff" "b", "\"a\xef\xbf\xbd" "b\"" },
		{ "cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },  /* a surrogate */
		{ "x\xe2\x80\xa8y\xe2\x80\xa9z\xe2\x80\xaa", "\"x\\u2028y\\u2029z\xe2\x80\xaa\"" },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(as); i++)
		assert_string_equal(string_of(as[i][0]), as[i][1]);
}

/* Whatever comes in: one string, no control characters, UTF-8. */
static void every_string_is_one(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		char from[12];
		size_t n, escaped = 0;

		for (size_t i = 0; i < sizeof(from) - 1; i++) {
			random = random * 1664525 + 1013904223;
			from[i] = (char)(random >> 24 | 1);
		}
		from[sizeof(from) - 1] = '\0';
		n = strlen(string_of(from));
		assert_true(utf8_valid(text, n) && text[0] == '"' && text[n - 1] == '"');
		for (size_t i = 1; i < n - 1; i++) {
			assert_true((unsigned char)text[i] >= ' ');
			escaped = escaped == 0 && text[i] == '\\';
			assert_true(text[i] != '"' || text[i - 1] == '\\');
		}
		assert_int_equal(escaped, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_is_written_as_json_wants_it),
		cmocka_unit_test(every_string_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
