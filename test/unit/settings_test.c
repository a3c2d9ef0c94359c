#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "fuzz/wall.h"
#include "httpd/settings.h"

static int parse_n(const char *body, size_t len, const char *type, struct settings *out)
{
	struct request_text content_type = { type, type != NULL ? strlen(type) : 0 };

	return settings_parse(wall_copy(body, len), len, content_type, wall_room(len), out);
}

static int parse(const char *body, const char *type, struct settings *out)
{
	return parse_n(body, strlen(body), type, out);
}

/* "key=value," for each pair. */
static const char *as_text(const struct settings *s)
{
	static char text[512];
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		memcpy(text + n, s->pair[i].key.at, s->pair[i].key.len);
		n += s->pair[i].key.len;
		text[n++] = '=';
		memcpy(text + n, s->pair[i].value.at, s->pair[i].value.len);
		n += s->pair[i].value.len;
		text[n++] = ',';
	}
	text[n] = 0;
	return text;
}

static void objects_and_forms_become_pairs(void **state)
{
	static const char form[] = "application/x-www-form-urlencoded";
	static const struct { const char *body, *type, *want; } cases[] = {
		{ "{\"cpu_hz\":250,\"heap_rate\":\"64k\"}", "application/json",
		  "cpu_hz=250,heap_rate=64k," },
		{ " \t\r\n{ \"a\" : 1 ,\n\"b\" : \"c\" }\n", NULL, "a=1,b=c," },
		{ "{\"a\":1}", form, "a=1," },  /* curl -d says form */
		{ "{\"a\":1}", "application/json; charset=utf-8", "a=1," },
		{ "{\"a\":1}", "Application/JSON", "a=1," },
		{ "{\"a\":1}", "image/png", "a=1," },
		{ "{}", NULL, "" },
		{ "{ }", NULL, "" },
		{ "{\"\":\"\"}", NULL, "=," },
		{ "{\"a\":true,\"b\":false}", NULL, "a=true,b=false," },
		{ "{\"a\":0,\"b\":-0,\"c\":-1.5e+10,\"d\":2E3,\"e\":0.0}", NULL,
		  "a=0,b=-0,c=-1.5e+10,d=2E3,e=0.0," },
		{ "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", NULL, "a=\"\\/\b\f\n\r\t," },
		{ "{\"\\u0061\":\"\\u00e9\\u20AC\\ud83d\\uDE00\"}", NULL,
		  "a=\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80," },
		{ "{\"a\":\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"}", NULL,
		  "a=\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf," },
		{ "{\"a\":\"\xc3\xa9\"}", NULL, "a=\xc3\xa9," },
		{ "{\"\\udbff\\udfff\":1}", NULL, "\xf4\x8f\xbf\xbf=1," },
		{ "{\"\\ud800\\udc00\\ue000\\ud7ff\":1}", NULL,
		  "\xf0\x90\x80\x80\xee\x80\x80\xed\x9f\xbf=1," },
		{ "{\"a\":1234567890,\"b\":1e-9}", NULL, "a=1234567890,b=1e-9," },
		{ "", NULL, "" },
		{ " \n", NULL, "" },
		{ "", "application/json", "" },
		{ "cpu_hz=250&heap_rate=64k", form, "cpu_hz=250,heap_rate=64k," },
		{ "cpu_hz=250", NULL, "cpu_hz=250," },
		{ "cpu_hz=250\n", "text/plain", "cpu_hz=250," },
		{ " a=1", "Application/x-www-form-urlencoded ; x", "a=1," },
		{ "&a=+1%2b%31&&b=&", form, "a= 1+1,b=," },
		{ "a=b=c", form, "a=b=c," },
		{ "%61%3d=1", form, "a==1," },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct settings out;
		int n = parse(cases[i].body, cases[i].type, &out);

		if (n < 0)
			fail_msg("%s: %s at %zu", cases[i].body, out.error, out.error_at);
		assert_int_equal(n, out.count);
		assert_null(out.error);
		if (strcmp(as_text(&out), cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].body, as_text(&out));
	}
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
	static const struct { const char *body, *type, *error; size_t at; } cases[] = {
		{ "a=1", "application/json", "expected {", 0 },
		{ " [1]", "application/json", "expected {", 1 },
		{ "{", NULL, "expected a key in quotes", 1 },
		{ "{a:1}", NULL, "expected a key in quotes", 1 },
		{ "{1:1}", NULL, "expected a key in quotes", 1 },
		{ "{,}", NULL, "expected a key in quotes", 1 },
		{ "{\"a\":1,}", NULL, "expected a key in quotes", 7 },
		{ "{\"a\":1,", NULL, "expected a key in quotes", 7 },
		{ "{\"a\"", NULL, "expected :", 4 },
		{ "{\"a\" 1}", NULL, "expected :", 5 },
		{ "{\"a\":", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":null}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":{}}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":[1]}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":+1}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":.5}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":tru", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":True}", NULL, "expected a number, a string, true or false", 5 },
		{ "{\"a\":truely}", NULL, "expected , or }", 9 },
		{ "{\"a\":01}", NULL, "expected , or }", 6 },
		{ "{\"a\":1 2}", NULL, "expected , or }", 7 },
		{ "{\"a\":1", NULL, "expected , or }", 6 },
		{ "{\"a\":0x1}", NULL, "expected , or }", 6 },
		{ "{\"a\":-}", NULL, "not a number", 6 },
		{ "{\"a\":1.}", NULL, "not a number", 7 },
		{ "{\"a\":1e}", NULL, "not a number", 7 },
		{ "{\"a\":1e+}", NULL, "not a number", 8 },
		{ "{\"a", NULL, "a string without an end", 3 },
		{ "{\"a\\", NULL, "a string without an end", 4 },
		{ "{\"a\":\"b}", NULL, "a string without an end", 8 },
		{ "{\"a\n\":1}", NULL, "a control character in a string", 3 },
		{ "{\"\\x\":1}", NULL, "an unknown \\ escape", 3 },
		{ "{\"\\u00g0\":1}", NULL, "a bad \\u escape", 6 },
		{ "{\"\\u00", NULL, "a bad \\u escape", 6 },
		{ "{\"\\udc00\":1}", NULL, "a bad \\u escape", 8 },
		{ "{\"\\ud800\":1}", NULL, "half of a \\u pair", 8 },
		{ "{\"\\ud800x\":1}", NULL, "half of a \\u pair", 8 },
		{ "{\"\\ud800\\n\":1}", NULL, "half of a \\u pair", 8 },
		{ "{\"\\ud800\\u0041\":1}", NULL, "half of a \\u pair", 14 },
		{ "{} x", NULL, "text behind the end", 3 },
		{ "{}{}", NULL, "text behind the end", 2 },
		{ "{\"a\":1,\"b\":2,\"\\u0061\":3}", NULL, "a key that was given before", 13 },
		{ "a=1", "multipart/form-data; boundary=x",
		  "neither JSON nor a form: see Content-Type", 0 },
		{ "a=1", "application/jsonx", "neither JSON nor a form: see Content-Type", 0 },
		{ "a", NULL, "no = behind a key", 1 },
		{ "a=1&b&c=2", NULL, "no = behind a key", 5 },
		{ "a=1;b=2", NULL, "a ; between settings: use &", 3 },
		{ "a=%zz", NULL, "a bad % escape", 2 },
		{ " a=1&%=2", NULL, "a bad % escape", 5 },
		{ "a=1&b=2&%61=3", NULL, "a key that was given before", 8 },
		{ "a=1&b=2&b=3", NULL, "a key that was given before", 8 },
		{ "{\"a\":true", NULL, "expected , or }", 9 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct settings out;
		int n = parse(cases[i].body, cases[i].type, &out);

		if (n != -EINVAL)
			fail_msg("%s: %d", cases[i].body, n);
		if (strcmp(out.error, cases[i].error) != 0 || out.error_at != cases[i].at)
			fail_msg("%s: %s at %zu", cases[i].body, out.error, out.error_at);
	}
}

static void zero_bytes_are_bytes_of_strings_only(void **state)
{
	struct settings out;

	(void)state;
	assert_int_equal(parse_n("{\"a\":1}\0", 8, NULL, &out), -EINVAL);
	assert_string_equal(out.error, "text behind the end");
	assert_int_equal(parse_n("{\"a\0\":1}", 8, NULL, &out), -EINVAL);
	assert_string_equal(out.error, "a control character in a string");
	assert_int_equal(parse("{\"a\":\"b\\u0000c\"}", NULL, &out), 1);
	assert_int_equal(out.pair[0].value.len, 3);
	assert_memory_equal(out.pair[0].value.at, "b\0c", 3);
	assert_int_equal(parse("a=b%00c", NULL, &out), 1);
	assert_int_equal(out.pair[0].value.len, 3);
}

static void there_may_be_thirty_two_settings(void **state)
{
	char form[400] = "", json[400] = "{";
	struct settings out;

	(void)state;
	for (unsigned i = 0; i < SETTINGS_MAX; i++) {
		const char high = (char)('a' + i / 8), low = (char)('a' + i % 8);
		char member[] = { '"', high, low, '"', ':', '1', ',', 0 };
		char pair[] = { high, low, '=', '1', '&', 0 };

		strcat(form, pair);
		strcat(json, member);
	}
	assert_int_equal(parse(form, NULL, &out), SETTINGS_MAX);
	assert_int_equal(parse(strcat(form, "one_more=1"), NULL, &out), -EINVAL);
	assert_string_equal(out.error, "more than 32 settings");
	json[strlen(json) - 1] = '}';
	assert_int_equal(parse(json, NULL, &out), SETTINGS_MAX);
	json[strlen(json) - 1] = ',';
	assert_int_equal(parse(strcat(json, "\"one more\":1}"), NULL, &out), -EINVAL);
	assert_string_equal(out.error, "more than 32 settings");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_forms_become_pairs),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(zero_bytes_are_bytes_of_strings_only),
		cmocka_unit_test(there_may_be_thirty_two_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
