#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/wall.h"
#include "httpd/request.h"

static int parse(const char *bytes, struct request *r)
{
	return request_parse(wall_copy(bytes, strlen(bytes)), strlen(bytes), r);
}

static void framing_that_two_servers_could_read_differently_is_refused(void **state)
{
	static const struct { const char *fields; int want; } cases[] = {
		{ "Content-Length: +5\r\n", REQUEST_BAD },
		{ "Content-Length: -5\r\n", REQUEST_BAD },
		{ "Content-Length: 5 5\r\n", REQUEST_BAD },
		{ "Content-Length: 5, 5\r\n", REQUEST_BAD },
		{ "Content-Length: 0x5\r\n", REQUEST_BAD },
		{ "Content-Length: 5.0\r\n", REQUEST_BAD },
		{ "Content-Length:\r\n", REQUEST_BAD },
		{ "Content-Length: five\r\n", REQUEST_BAD },
		{ "Content-Length: 9223372036854775808\r\n", REQUEST_BAD },
		{ "Content-Length: 18446744073709551621\r\n", REQUEST_BAD },
		{ "Content-Length : 5\r\n", REQUEST_BAD },
		{ "Content-Length: 5\r\nContent-Length: 6\r\n", REQUEST_BAD },
		{ "Content-Length: 5\r\nX: y\r\ncontent-length: 50\r\n", REQUEST_BAD },
		{ "Content-Length: 5\r\n\tContent-Length: 6\r\n", REQUEST_BAD },
		{ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", REQUEST_BAD },
		{ "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", REQUEST_BAD },
		{ "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", REQUEST_BAD },
		{ "Transfer-Encoding: gzip\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: identity\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: gzip, chunked\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: chunked, chunked\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: chunked, identity\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: xchunked\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: \"chunked\"\r\n", REQUEST_CODING },
		{ "Transfer-Encoding:\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", REQUEST_CODING },
		{ "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", REQUEST_CODING },
		{ "Transfer-Encoding : chunked\r\n", REQUEST_BAD },
		{ "Transfer-Encoding\r\n : chunked\r\n", REQUEST_BAD },
		{ "Transfer-Encoding: \x0b" "chunked\r\n", REQUEST_BAD },
		{ "X: y\rTransfer-Encoding: chunked\r\n", REQUEST_BAD },
	};
	struct request r;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[200] = "POST / HTTP/1.1\r\nHost: localhost\r\n";
		int got = parse(strcat(bytes, cases[i].fields), &r);

		if (got != cases[i].want)
			fail_msg("%s: %d, not %d", cases[i].fields, got, cases[i].want);
	}
	assert_int_equal(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", &r),
			 REQUEST_BAD);
}

static void lengths_and_codings_that_are_clear_are_taken(void **state)
{
	static const struct {
		const char *fields;
		bool        chunked, has_length;
		uint64_t    length;
	} cases[] = {
		{ "", false, false, 0 },
		{ "Content-Length: 0\r\n", false, true, 0 },
		{ "Content-Length: 5\r\n", false, true, 5 },
		{ "CONTENT-LENGTH:5\r\n", false, true, 5 },
		{ "Content-Length: \t5 \t\r\n", false, true, 5 },
		{ "Content-Length: 5\r\nContent-Length: 5\r\n", false, true, 5 },
		{ "Content-Length: 9223372036854775807\r\n", false, true, INT64_MAX },
		{ "Transfer-Encoding: chunked\r\n", true, false, 0 },
		{ "transfer-encoding:Chunked \r\n", true, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[200] = "POST / HTTP/1.1\r\nHost: localhost\r\n";
		struct request r;

		strcat(strcat(bytes, cases[i].fields), "\r\n");
		if (parse(bytes, &r) != (int)strlen(bytes) || r.chunked != cases[i].chunked ||
		    r.has_length != cases[i].has_length || r.length != cases[i].length)
			fail_msg("%s: %d %d %llu", cases[i].fields, r.chunked, r.has_length,
				 (unsigned long long)r.length);
	}
}

static void the_connection_stays_open_where_version_and_words_say_so(void **state)
{
	static const struct { const char *head; bool close; } cases[] = {
		{ "GET / HTTP/1.1\r\n", false },
		{ "GET / HTTP/1.0\r\n", true },
		{ "GET / HTTP/1.1\r\nConnection: close\r\n", true },
		{ "GET / HTTP/1.1\r\nConnection: Close\r\n", true },
		{ "GET / HTTP/1.1\r\nConnection: upgrade ,\tclose,x\r\n", true },
		{ "GET / HTTP/1.1\r\nConnection: x\r\nConnection: close\r\n", true },
		{ "GET / HTTP/1.1\r\nConnection: closed\r\n", false },
		{ "GET / HTTP/1.1\r\nConnection:\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[200];
		struct request r;

		assert_true(parse(strcat(strcpy(bytes, cases[i].head), "\r\n"), &r) > 0);
		if (r.close != cases[i].close)
			fail_msg("%s: close %d", cases[i].head, r.close);
	}
}

static void only_a_client_with_a_body_waits_for_100_continue(void **state)
{
	static const struct { const char *head; bool expect; } cases[] = {
		{ "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", true },
		{ "POST / HTTP/1.1\r\nExpect: 100-CONTINUE\r\nTransfer-Encoding: chunked\r\n",
		  true },
		{ "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n", false },
		{ "POST / HTTP/1.1\r\nExpect: 100-continue\r\n", false },
		{ "POST / HTTP/1.1\r\nExpect:\r\nContent-Length: 1\r\n", false },
		{ "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", false },
		{ "POST / HTTP/1.0\r\nExpect: tea\r\nContent-Length: 1\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[200];
		struct request r;

		assert_true(parse(strcat(strcpy(bytes, cases[i].head), "\r\n"), &r) > 0);
		if (r.expect_continue != cases[i].expect)
			fail_msg("%s: %d", cases[i].head, r.expect_continue);
	}
}

/* start, then x until end, so that all is n bytes. */
static int parse_long(const char *start, size_t n, const char *end, struct request *r)
{
	char *bytes = wall_room(n);

	memset(bytes, 'x', n);
	memcpy(bytes, start, strlen(start));
	memcpy(bytes + n - strlen(end), end, strlen(end));
	return request_parse(bytes, n, r);
}

static void a_head_has_a_limit(void **state)
{
	static const char field[] = "GET / HTTP/1.1\r\nX: ", target[] = "GET /";
	const int max = REQUEST_HEAD_MAX;
	struct request r;

	(void)state;
	assert_int_equal(parse_long(field, max, "\r\n\r\n", &r), max);
	assert_int_equal(parse_long(field, max + 1, "\r\n\r\n", &r), REQUEST_HEAD_LONG);
	assert_int_equal(parse_long(field, max + 1, "\n\n", &r), REQUEST_HEAD_LONG);
	assert_int_equal(parse_long(field, 65536, "\r\n\r\n", &r), REQUEST_HEAD_LONG);
	assert_int_equal(parse_long(field, max - 1, "", &r), REQUEST_MORE);
	assert_int_equal(parse_long(field, max, "", &r), REQUEST_HEAD_LONG);
	assert_int_equal(parse_long(field, max, "\r\n", &r), REQUEST_HEAD_LONG);
	assert_int_equal(parse_long(target, max, " HTTP/1.1\r\n\r\n", &r), max);
	assert_int_equal(parse_long(target, max, " HTTP/1.1\r\n", &r), REQUEST_HEAD_LONG);
	assert_int_equal(parse_long(target, max + 1, " HTTP/1.1\r\n", &r), REQUEST_TARGET_LONG);
	assert_int_equal(parse_long(target, max - 1, "", &r), REQUEST_MORE);
	assert_int_equal(parse_long(target, max, "", &r), REQUEST_TARGET_LONG);
	assert_int_equal(parse_long("", max, "", &r), REQUEST_TARGET_LONG);
	assert_int_equal(parse_long("\r\n", max, "", &r), REQUEST_TARGET_LONG);
}

static void the_next_request_is_not_looked_at(void **state)
{
	static const char first[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
	struct request r;
	char *bytes = wall_room(REQUEST_HEAD_MAX * 2);

	(void)state;
	memcpy(bytes, first, sizeof(first) - 1);
	assert_int_equal(request_parse(bytes, (size_t)REQUEST_HEAD_MAX * 2, &r), sizeof(first) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing_that_two_servers_could_read_differently_is_refused),
		cmocka_unit_test(lengths_and_codings_that_are_clear_are_taken),
		cmocka_unit_test(the_connection_stays_open_where_version_and_words_say_so),
		cmocka_unit_test(only_a_client_with_a_body_waits_for_100_continue),
		cmocka_unit_test(a_head_has_a_limit),
		cmocka_unit_test(the_next_request_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
