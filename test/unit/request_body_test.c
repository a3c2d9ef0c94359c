#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/wall.h"
#include "httpd/request_body.h"

#define BODY_MAX 64

struct result {
	int    status;
	char   data[8192];
	size_t len, rest;
};

/* Feeds bytes in pieces of this size until the body ends or is refused.  What is not fed counts as
 * rest. */
static struct result feed(const struct request *r, const char *bytes, size_t n, size_t piece)
{
	struct request_body b;
	struct result got = { .status = request_body_begin(&b, r, BODY_MAX) };
	size_t at = 0;

	while (got.status == REQUEST_MORE && at < n) {
		size_t len = n - at < piece ? n - at : piece;
		char *in = wall_copy(bytes + at, len);

		at += len;
		got.status = request_body_parse(&b, in, &len, &got.rest);
		assert_memory_equal(in + len, bytes + at - got.rest, got.rest);
		memcpy(got.data + got.len, in, len);
		got.len += len;
	}
	got.rest += n - at;
	return got;
}

static const struct {
	const char *says, *bytes;
	int         status;
	const char *data;
	size_t      rest;
} cases[] = {
	{ "one chunk", "5\r\nhello\r\n0\r\n\r\n", REQUEST_BODY_DONE, "hello", 0 },
	{ "two chunks", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", REQUEST_BODY_DONE, "hello", 0 },
	{ "no data", "0\r\n\r\n", REQUEST_BODY_DONE, "", 0 },
	{ "many zeros", "0005\r\nhello\r\n000\r\n\r\n", REQUEST_BODY_DONE, "hello", 0 },
	{ "both cases", "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", REQUEST_BODY_DONE,
	  "01234567890123456789a", 0 },
	{ "CR LF as data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", REQUEST_BODY_DONE, "\r\n\r\n", 0 },
	{ "an extension", "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", REQUEST_BODY_DONE, "hello", 0 },
	{ "blanks behind the size", "5 \t ;a\r\nhello\r\n0  \r\n\r\n", REQUEST_BODY_DONE,
	  "hello", 0 },
	{ "trailers", "0\r\nA: b\r\nC: d\r\n\r\n", REQUEST_BODY_DONE, "", 0 },
	{ "the next request", "1\r\nx\r\n0\r\n\r\nGET /", REQUEST_BODY_DONE, "x", 5 },
	{ "the maximum", "20\r\n0123456789abcdef0123456789abcdef\r\n"
	  "20\r\n0123456789abcdef0123456789abcdef\r\n0\r\n\r\n", REQUEST_BODY_DONE,
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 0 },

	{ "nothing yet", "", REQUEST_MORE, "", 0 },
	{ "half a size", "1", REQUEST_MORE, "", 0 },
	{ "half a chunk", "5\r\nhe", REQUEST_MORE, "he", 0 },
	{ "no last chunk yet", "5\r\nhello\r\n", REQUEST_MORE, "hello", 0 },
	{ "no last line yet", "0\r\n", REQUEST_MORE, "", 0 },
	{ "no last line feed yet", "0\r\n\r", REQUEST_MORE, "", 0 },
	{ "no end of trailers yet", "0\r\nA: b\r\n", REQUEST_MORE, "", 0 },

	{ "an empty size", "\r\n", REQUEST_BAD, "", 0 },
	{ "an extension without size", ";a\r\n", REQUEST_BAD, "", 0 },
	{ "a blank before the size", " 5\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a size with sign", "+5\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a size with 0x", "0x5\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a size that is none", "g\r\n", REQUEST_BAD, "", 0 },
	{ "an @, next to the letters", "@\r\n", REQUEST_BAD, "", 0 },
	{ "a ` next to the letters", "`\r\n", REQUEST_BAD, "", 0 },
	{ "two sizes", "5 5\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a size of 17 digits", "10000000000000005\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a bare LF behind the size", "5\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a bare CR behind the size", "5\rhello\r\n", REQUEST_BAD, "", 0 },
	{ "a bare LF in an extension", "5;a\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a bare CR in an extension", "5;a\rb\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a control character in an extension", "5;\x01\r\nhello\r\n", REQUEST_BAD, "", 0 },
	{ "a DEL in a trailer", "0\r\nA:\x7f\r\n\r\n", REQUEST_BAD, "", 0 },
	{ "data longer than said", "5\r\nhello!\r\n0\r\n\r\n", REQUEST_BAD, "hello", 0 },
	{ "a bare LF behind the data", "5\r\nhello\n0\r\n\r\n", REQUEST_BAD, "hello", 0 },
	{ "a bare CR behind the data", "5\r\nhello\r0\r\n\r\n", REQUEST_BAD, "hello", 0 },
	{ "a bare LF at the end", "0\r\n\n", REQUEST_BAD, "", 0 },
	{ "a bare LF in a trailer", "0\r\nA: b\n\r\n", REQUEST_BAD, "", 0 },
	{ "a bare CR in a trailer", "0\r\nA: b\rc\r\n\r\n", REQUEST_BAD, "", 0 },
	{ "a bare CR at the end", "0\r\n\rx", REQUEST_BAD, "", 0 },

	{ "more than the maximum", "41\r\n", REQUEST_BODY_LONG, "", 0 },
	{ "more in two chunks", "1\r\nx\r\n40\r\n", REQUEST_BODY_LONG, "x", 0 },
	{ "far more", "fffffffffffffff0\r\n", REQUEST_BODY_LONG, "", 0 },
};

static void a_chunked_body_is_the_same_however_it_is_cut(void **state)
{
	const struct request r = { .chunked = true };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t n = strlen(cases[i].bytes);

		for (size_t piece = 1; piece <= n + 1; piece++) {
			struct result got = feed(&r, cases[i].bytes, n, piece);

			if (got.status != cases[i].status || got.len != strlen(cases[i].data) ||
			    memcmp(got.data, cases[i].data, got.len) != 0)
				fail_msg("%s in pieces of %zu: %d, %zu bytes", cases[i].says,
					 piece, got.status, got.len);
			if (got.status == REQUEST_BODY_DONE && got.rest != cases[i].rest)
				fail_msg("%s in pieces of %zu: %zu left", cases[i].says, piece,
					 got.rest);
		}
	}
}

static void a_counted_body_ends_with_its_last_byte(void **state)
{
	static const char bytes[] = "helloGET /";

	(void)state;
	for (size_t length = 0; length <= sizeof(bytes) - 1; length++) {
		const struct request r = { .has_length = true, .length = length };

		for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
			struct result got = feed(&r, bytes, sizeof(bytes) - 1, piece);

			assert_int_equal(got.status, REQUEST_BODY_DONE);
			assert_int_equal(got.len, length);
			assert_memory_equal(got.data, bytes, length);
			assert_int_equal(got.rest, sizeof(bytes) - 1 - length);
		}
	}
	assert_int_equal(feed(&(struct request){ .length = 11 }, bytes, 9, 3).status,
			 REQUEST_MORE);
}

static void a_body_has_a_limit(void **state)
{
	struct request_body b;

	(void)state;
	assert_int_equal(request_body_begin(&b, &(struct request){ .length = 0 }, 0),
			 REQUEST_BODY_DONE);
	assert_int_equal(request_body_begin(&b, &(struct request){ .length = 1 }, 0),
			 REQUEST_BODY_LONG);
	assert_int_equal(request_body_begin(&b, &(struct request){ .length = 64 }, 64),
			 REQUEST_MORE);
	assert_int_equal(request_body_begin(&b, &(struct request){ .length = 65 }, 64),
			 REQUEST_BODY_LONG);
	assert_int_equal(request_body_begin(&b, &(struct request){ .length = UINT64_MAX }, 64),
			 REQUEST_BODY_LONG);
}

/* Repeats what n times behind start. */
static int feed_many(const char *start, const char *what, size_t n, size_t max)
{
	const struct request r = { .chunked = true };
	struct request_body b;
	int status = request_body_begin(&b, &r, max);

	for (size_t i = 0; i <= n && status == REQUEST_MORE; i++) {
		const char *piece = i == 0 ? start : what;
		size_t len = strlen(piece), rest;

		status = request_body_parse(&b, wall_copy(piece, len), &len, &rest);
	}
	return status;
}

static void padding_has_a_limit_but_small_chunks_have_none(void **state)
{
	(void)state;
	assert_int_equal(feed_many("", "1\r\nx\r\n", 100000, 100000), REQUEST_MORE);
	assert_int_equal(feed_many("", "1\r\nx\r\n", 100000, 99999), REQUEST_BODY_LONG);
	assert_int_equal(feed_many("1;", "x", REQUEST_BODY_OVERHEAD_MAX - 2, 9), REQUEST_MORE);
	assert_int_equal(feed_many("1;", "x", REQUEST_BODY_OVERHEAD_MAX - 1, 9), REQUEST_BAD);
	assert_int_equal(feed_many("", "0", REQUEST_BODY_OVERHEAD_MAX + 1, 9), REQUEST_BAD);
	assert_int_equal(feed_many("0\r\n", "a: b\r\n", REQUEST_BODY_OVERHEAD_MAX, 9), REQUEST_BAD);
	/* 16 bytes and twice the data are free, for ever; one byte more adds up */
	assert_int_equal(feed_many("", "1;xxxxxxxxxxxx\r\nx\r\n", 10000, 10000), REQUEST_MORE);
	assert_int_equal(feed_many("", "1;xxxxxxxxxxxxx\r\nx\r\n", 10000, 10000), REQUEST_BAD);
	assert_int_equal(feed_many("", "5;xxxxxxxxxxxxxxxxxxxx\r\nhello\r\n", 10000, 50000),
			 REQUEST_MORE);
	assert_int_equal(feed_many("", "5;xxxxxxxxxxxxxxxxxxxxx\r\nhello\r\n", 10000, 50000),
			 REQUEST_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunked_body_is_the_same_however_it_is_cut),
		cmocka_unit_test(a_counted_body_ends_with_its_last_byte),
		cmocka_unit_test(a_body_has_a_limit),
		cmocka_unit_test(padding_has_a_limit_but_small_chunks_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
