#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encode/utf8.h"
#include "fuzz/wall.h"
#include "sampler/compiler.h"

#define BAD "\xef\xbf\xbd"      /* U+FFFD */

static const struct {
	const char *says, *text, *copy;
	size_t characters;
} cases[] = {
	{ "empty", "", "", 0 },
	{ "ASCII", "main", "main", 4 },
	{ "control characters", "\x01\x7f\t\n", "\x01\x7f\t\n", 4 },
	{ "two bytes", "\xc3\xbc", "\xc3\xbc", 1 },
	{ "first of two", "\xc2\x80", "\xc2\x80", 1 },
	{ "first of three", "\xe0\xa0\x80", "\xe0\xa0\x80", 1 },
	{ "last of three", "\xef\xbf\xbf", "\xef\xbf\xbf", 1 },
	{ "around the surrogates", "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80", 2 },
	{ "first and last of four", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	  "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 2 },
	{ "a lone byte of a tail", "a\x80z", "a" BAD "z", 3 },
	{ "bytes that never occur", "\xc0\xc1\xf5\xff", BAD BAD BAD BAD, 4 },
	{ "overlong, two bytes", "\xc0\xaf", BAD BAD, 2 },
	{ "overlong, three bytes", "\xe0\x9f\xbf", BAD BAD BAD, 3 },
	{ "overlong, four bytes", "\xf0\x8f\xbf\xbf", BAD BAD BAD BAD, 4 },
	{ "a surrogate", "\xed\xa0\x80", BAD BAD BAD, 3 },
	{ "beyond U+10FFFF", "\xf4\x90\x80\x80", BAD BAD BAD BAD, 4 },
	{ "cut after one of two", "a\xc3", "a" BAD, 2 },
	{ "cut after two of three", "\xe2\x82", BAD BAD, 2 },
	{ "cut after three of four", "\xf0\x9f\x98", BAD BAD BAD, 3 },
	{ "a good one behind a cut one", "\xe2\x82\xe2\x82\xac", BAD BAD "\xe2\x82\xac", 3 },
	{ "ASCII where a tail should be", "\xc3(", BAD "(", 2 },
	{ "Latin-1", "/srv/J\xf6rg/app", "/srv/J" BAD "rg/app", 13 },
};

static void each_case_is_copied_as_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t n = strlen(cases[i].text), want = strlen(cases[i].copy);
		const char *in = wall_copy(cases[i].text, n);
		char *out = wall_room(UTF8_COPY_MAX(n));
		size_t got = utf8_copy(out, in, n);

		if (got != want || memcmp(out, cases[i].copy, want) != 0)
			fail_msg("%s: copied as %.*s", cases[i].says, (int)got, out);
		if (utf8_valid(in, n) != (strcmp(cases[i].text, cases[i].copy) == 0))
			fail_msg("%s: wrongly judged", cases[i].says);
		if (utf8_count(in, n) != cases[i].characters)
			fail_msg("%s: %zu characters", cases[i].says, utf8_count(in, n));
	}
}

static size_t encode(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

static void exactly_the_characters_of_unicode_are_valid(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x200000; c++) {
		char text[4];
		size_t n = encode(c, text);
		int valid = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

		assert_int_equal(utf8_valid(text, n), valid);
		for (size_t part = 1; part < n; part++)
			assert_false(utf8_valid(text, part));
	}
}

static void every_copy_is_valid(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		char text[12], copy[UTF8_COPY_MAX(sizeof(text))];
		size_t n;

		for (size_t i = 0; i < sizeof(text); i++) {
			random = random * 1664525 + 1013904223;
			text[i] = (char)(random >> 24 | (i % 3 == 0 ? 0xc0 : 0x80));
		}
		n = utf8_copy(copy, text, sizeof(text));
		assert_true(n <= sizeof(copy));
		assert_true(utf8_valid(copy, n));
		assert_int_equal(utf8_count(copy, n), utf8_count(text, sizeof(text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_is_copied_as_it_should),
		cmocka_unit_test(exactly_the_characters_of_unicode_are_valid),
		cmocka_unit_test(every_copy_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
