#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encode/buf.h"
#include "fuzz/wall.h"
#include "sampler/compiler.h"

/* A sink that keeps what it gets. */
struct kept {
	struct sink in;
	char   bytes[4096];
	size_t len;
	size_t largest;         /* write */
	int    writes;
};

static void keep(struct sink *s, const void *bytes, size_t n)
{
	struct kept *k = (struct kept *)s;

	assert_true(n > 0);
	assert_true(n <= sizeof(k->bytes) - k->len);
	memcpy(k->bytes + k->len, bytes, n);
	k->len += n;
	k->writes++;
	if (n > k->largest)
		k->largest = n;
}

static void put_all(struct buf *b)
{
	buf_string(b, "heap profile: ");
	buf_signed(b, -5);
	buf_bytes(b, "", 0);
	buf_string(b, "");
	buf_unsigned(b, 18446744073709551615u);
	buf_repeat(b, '\t', 3);
	buf_hex(b, 0xabcdef, 8);
	buf_html(b, "<a&b>");
	buf_bytes(b, "\0end", 4);
}

static const char all[] = "heap profile: -518446744073709551615\t\t\t00abcdef&lt;a&amp;b&gt;\0end";
#define ALL (sizeof(all) - 1)

static void a_bounded_buf_writes_what_fits_and_counts_the_rest(void **state)
{
	(void)state;
	for (size_t cap = 0; cap <= ALL + 3; cap++) {
		char *room = wall_room(cap);
		struct buf b = buf_bounded(room, cap);

		put_all(&b);
		buf_flush(&b);
		assert_int_equal(b.len, ALL);
		assert_int_equal(buf_fits(&b), cap >= ALL);
		assert_memory_equal(room, all, cap < ALL ? cap : ALL);
	}
}

static void a_buf_with_a_sink_loses_nothing_at_any_size(void **state)
{
	(void)state;
	for (size_t cap = 0; cap <= ALL + 3; cap++) {
		struct kept kept = { .in = { keep } };
		struct buf b = buf_to_sink(wall_room(cap), cap, &kept.in);

		put_all(&b);
		assert_true(b.len <= b.cap);
		buf_flush(&b);
		buf_flush(&b);
		assert_int_equal(kept.len, ALL);
		assert_memory_equal(kept.bytes, all, ALL);
	}
}

static void a_buf_with_a_sink_hands_over_full_pieces(void **state)
{
	struct kept kept = { .in = { keep } };
	char room[100];
	struct buf b = buf_to_sink(room, sizeof(room), &kept.in);

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_bytes(&b, "x", 1);
	assert_int_equal(kept.writes, 9);
	assert_int_equal(kept.largest, 100);
	buf_flush(&b);
	assert_int_equal(kept.len, 1000);
}

static void numbers_are_written_as_printf_would(void **state)
{
	static const struct {
		int64_t v;
		const char *as_signed, *as_unsigned, *as_hex, *padded;
	} cases[] = {
		{ 0, "0", "0", "0", "0000" },
		{ 7, "7", "7", "7", "0007" },
		{ 10, "10", "10", "a", "000a" },
		{ 65535, "65535", "65535", "ffff", "ffff" },
		{ 65536, "65536", "65536", "10000", "10000" },
		{ -1, "-1", "18446744073709551615", "ffffffffffffffff", "ffffffffffffffff" },
		{ INT64_MAX, "9223372036854775807", "9223372036854775807", "7fffffffffffffff",
		  "7fffffffffffffff" },
		{ INT64_MIN, "-9223372036854775808", "9223372036854775808", "8000000000000000",
		  "8000000000000000" },
		{ 1000000000000000000, "1000000000000000000", "1000000000000000000",
		  "de0b6b3a7640000", "de0b6b3a7640000" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[100] = "";
		struct buf b = buf_bounded(text, sizeof(text));

		buf_signed(&b, cases[i].v);
		assert_string_equal(text, cases[i].as_signed);
		memset(text, 0, sizeof(text));
		b.len = 0;
		buf_unsigned(&b, (uint64_t)cases[i].v);
		assert_string_equal(text, cases[i].as_unsigned);
		memset(text, 0, sizeof(text));
		b.len = 0;
		buf_hex(&b, (uint64_t)cases[i].v, 1);
		assert_string_equal(text, cases[i].as_hex);
		memset(text, 0, sizeof(text));
		b.len = 0;
		buf_hex(&b, (uint64_t)cases[i].v, 4);
		assert_string_equal(text, cases[i].padded);
	}
}

static void hex_has_as_many_digits_as_asked(void **state)
{
	(void)state;
	for (unsigned digits = 0; digits <= 16; digits++) {
		char text[20] = "";
		struct buf b = buf_bounded(text, sizeof(text));

		buf_hex(&b, 0, digits);
		assert_int_equal(strlen(text), digits > 0 ? digits : 1);
		assert_int_equal(strspn(text, "0"), strlen(text));
	}
}

static void html_is_escaped_as_go_does(void **state)
{
	static const struct {
		const char *text, *html;
	} cases[] = {
		{ "", "" },
		{ "plain text/1", "plain text/1" },
		{ "a<b>&\"'", "a&lt;b&gt;&amp;&#34;&#39;" },
		{ "&amp;", "&amp;amp;" },
		{ "\xc3\xbc\n", "\xc3\xbc\n" },
		{ "<script>alert('x')</script>",
		  "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char html[100] = "";
		struct buf b = buf_bounded(html, sizeof(html));

		buf_html(&b, cases[i].text);
		assert_string_equal(html, cases[i].html);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bounded_buf_writes_what_fits_and_counts_the_rest),
		cmocka_unit_test(a_buf_with_a_sink_loses_nothing_at_any_size),
		cmocka_unit_test(a_buf_with_a_sink_hands_over_full_pieces),
		cmocka_unit_test(numbers_are_written_as_printf_would),
		cmocka_unit_test(hex_has_as_many_digits_as_asked),
		cmocka_unit_test(html_is_escaped_as_go_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
