/* Names from the host, as they stand in answers that say they are UTF-8. */
#include "httpd/go_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *written(void (*put)(struct buf *b, const char *text), const char *text)
{
	static char out[100];
	struct buf b = buf_bounded(out, sizeof(out));

	put(&b, text);
	buf_end(&b);
	return out;
}

/* Names of threads end after 15 bytes, in the midst of a character or not. */
static void what_is_not_utf8_is_replaced(void **state)
{
	(void)state;
	assert_string_equal(written(go_text_label, "caf\xc3\xa9"), "\"caf\xc3\xa9\"");
	assert_string_equal(written(go_text_label, "caf\xc3"), "\"caf?\"");
	assert_string_equal(written(go_text_quoted, "\xff\xfe\"\\"), "\"??\\\"\\\\\"");
	assert_string_equal(written(go_text_word, "caf\xc3\xa9"), "caf\xc3\xa9");
	assert_string_equal(written(go_text_word, "caf\xc3,"), "caf?_");
	assert_string_equal(written(go_text_path, "/caf\xc3\xa9/\xff:1"), "/caf?\?/?_1");
	assert_string_equal(written(go_text_function, "f\x80(int)"), "f?(int)");
}

static void no_name_ends_a_line_or_a_bracket(void **state)
{
	static const char all[] = "\n\r\t]):,[(\x7f";

	(void)state;
	assert_string_equal(written(go_text_word, all), "_____:____");
	assert_string_equal(written(go_text_path, "\n\r\t:"), "____");
	assert_string_equal(written(go_text_quoted, "\n\r\"\x7f"), "\"??\\\"?\"");
	assert_string_equal(written(go_text_function, "a\n/%b)(c"), "a___b}{c");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_utf8_is_replaced),
		cmocka_unit_test(no_name_ends_a_line_or_a_bracket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
