#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuzz/wall.h"
#include "httpd/request.h"

#define HOST "Host: localhost:6060\r\n"
#define GET  "GET / HTTP/1.1\r\n"

static int parse(const char *bytes, struct request *r)
{
	return request_parse(wall_copy(bytes, strlen(bytes)), strlen(bytes), r);
}

static void is_text(struct request_text text, const char *want)
{
	if (want == NULL) {
		assert_null(text.at);
		return;
	}
	assert_non_null(text.at);
	assert_int_equal(text.len, strlen(want));
	assert_memory_equal(text.at, want, text.len);
}

static void every_head_gets_its_documented_answer(void **state)
{
	enum { WHOLE = 1 };     /* all of its bytes */
	static const struct { const char *says, *bytes; int want; } cases[] = {
		{ "a request", GET HOST "\r\n", WHOLE },
		{ "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", WHOLE },
		{ "1.1 without Host: the guard's", GET "\r\n", WHOLE },
		{ "HTTP/1.2 counts as 1.1", "GET / HTTP/1.2\r\n" HOST "\r\n", WHOLE },
		{ "any method", "AZaz09! /pot HTTP/1.1\r\n" HOST "\r\n", WHOLE },
		{ "OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", WHOLE },
		{ "bare LFs", "GET / HTTP/1.1\nHost: x\n\n", WHOLE },
		{ "one empty line before", "\r\n" GET HOST "\r\n", WHOLE },
		{ "bytes above 127 in path and value",
		  "GET /\xc3\xa9 HTTP/1.1\r\nX: \xc3\xa9\r\n\r\n", WHOLE },
		{ "an empty value", GET HOST "X:\r\n\r\n", WHOLE },
		{ "a tab in a value", GET HOST "X: a\tb\r\n\r\n", WHOLE },
		{ "a bad escape in the query", "GET /?%zz HTTP/1.1\r\n" HOST "\r\n", WHOLE },

		{ "nothing", "", REQUEST_MORE },
		{ "an empty line", "\r\n", REQUEST_MORE },
		{ "half a request line", "GET /", REQUEST_MORE },
		{ "no empty line yet", GET HOST, REQUEST_MORE },
		{ "half an empty line", GET HOST "\r", REQUEST_MORE },
		{ "half a bad line", GET "Ho st", REQUEST_MORE },

		{ "two empty lines before", "\r\n\r\n" GET HOST "\r\n", REQUEST_BAD },
		{ "a blank before the method", " " GET HOST "\r\n", REQUEST_BAD },
		{ "no version (HTTP/0.9)", "GET /\r\n", REQUEST_BAD },
		{ "no target", "GET HTTP/1.1\r\n", REQUEST_BAD },
		{ "an empty target", "GET  HTTP/1.1\r\n", REQUEST_BAD },
		{ "two blanks", "GET  / HTTP/1.1\r\n", REQUEST_BAD },
		{ "a blank behind", "GET / HTTP/1.1 \r\n", REQUEST_BAD },
		{ "a word too many", "GET / x HTTP/1.1\r\n", REQUEST_BAD },
		{ "a method that is no token", "G(T / HTTP/1.1\r\n", REQUEST_BAD },
		{ "an empty method", " / HTTP/1.1\r\n", REQUEST_BAD },
		{ "lower-case http", "GET / http/1.1\r\n", REQUEST_BAD },
		{ "a version of one number", "GET / HTTP/1\r\n", REQUEST_BAD },
		{ "a long version", "GET / HTTP/1.10\r\n", REQUEST_BAD },
		{ "a version of letters", "GET / HTTP/x.y\r\n", REQUEST_BAD },
		{ "a sign next to 9", "GET / HTTP/1.:\r\n", REQUEST_BAD },
		{ "a sign next to 0", "GET / HTTP/1./\r\n", REQUEST_BAD },
		{ "a sign next to 9 first", "GET / HTTP/:.1\r\n", REQUEST_BAD },
		{ "a sign next to 0 first", "GET / HTTP//.1\r\n", REQUEST_BAD },
		{ "a comma in the version", "GET / HTTP/1,1\r\n", REQUEST_BAD },
		{ "TLS", "\x16\x03\x01\x02\n", REQUEST_BAD },
		{ "a CR in the request line", "GET /\r HTTP/1.1\r\n", REQUEST_BAD },
		{ "a tab in the target", "GET /\tx HTTP/1.1\r\n", REQUEST_BAD },
		{ "a DEL in the target", "GET /\x7f HTTP/1.1\r\n", REQUEST_BAD },
		{ "a target without /", "GET debug HTTP/1.1\r\n", REQUEST_BAD },
		{ "* for GET", "GET * HTTP/1.1\r\n", REQUEST_BAD },
		{ "* in lower-case options", "options * HTTP/1.1\r\n", REQUEST_BAD },
		{ "CONNECT's target", "CONNECT localhost:80 HTTP/1.1\r\n", REQUEST_BAD },
		{ "a bad escape in the path", "GET /%zz HTTP/1.1\r\n", REQUEST_BAD },
		{ "half an escape", "GET /%2 HTTP/1.1\r\n", REQUEST_BAD },
		{ "another scheme", "GET ftp://h/ HTTP/1.1\r\n", REQUEST_BAD },
		{ "an empty authority", "GET http:///x HTTP/1.1\r\n", REQUEST_BAD },
		{ "a user", "GET http://localhost@evil/ HTTP/1.1\r\n", REQUEST_BAD },

		{ "HTTP/9.9", "GET / HTTP/9.9\r\n", REQUEST_VERSION },
		{ "HTTP/2", "PRI * HTTP/2.0\r\n", REQUEST_VERSION },
		{ "HTTP/0.9 in full", "GET / HTTP/0.9\r\n", REQUEST_VERSION },

		{ "no colon", GET "Host\r\n", REQUEST_BAD },
		{ "no name", GET ": x\r\n", REQUEST_BAD },
		{ "a blank before the colon", GET "Host : x\r\n", REQUEST_BAD },
		{ "a tab before the colon", GET "Host\t: x\r\n", REQUEST_BAD },
		{ "a blank in the name", GET "Ho st: x\r\n", REQUEST_BAD },
		{ "a folded line", GET HOST "X: a\r\n b\r\n", REQUEST_BAD },
		{ "a folded line with tab", GET HOST "X: a\r\n\tb: c\r\n", REQUEST_BAD },
		{ "a blank before the first field", GET " " HOST, REQUEST_BAD },
		{ "a line of blanks", GET HOST " \r\n", REQUEST_BAD },
		{ "a CR in a value", GET "X: a\rb\r\n", REQUEST_BAD },
		{ "two CRs", GET HOST "\r\r\n", REQUEST_BAD },
		{ "a control character in a value", GET "X: \x01\r\n", REQUEST_BAD },
		{ "a DEL in a value", GET "X: \x7f\r\n", REQUEST_BAD },
		{ "bytes above 127 in a name", GET "\xc3\xa9: x\r\n", REQUEST_BAD },

		{ "two Hosts", GET HOST HOST, REQUEST_BAD },
		{ "an empty Host and another", GET "Host:\r\n" HOST, REQUEST_BAD },
		{ "a user in Host", GET "Host: me@localhost\r\n", REQUEST_BAD },
		{ "a slash in Host", GET "Host: localhost/x\r\n", REQUEST_BAD },
		{ "a blank in Host", GET "Host: localhost evil\r\n", REQUEST_BAD },
		{ "two Origins", GET "Origin: a\r\norigin: a\r\n", REQUEST_BAD },
		{ "two Sec-Fetch-Sites", GET "Sec-Fetch-Site: none\r\nSec-Fetch-Site: none\r\n",
		  REQUEST_BAD },
		{ "two tokens", GET "Authorization: a\r\nAuthorization: b\r\n", REQUEST_BAD },

		{ "Expect of something else", GET "Expect: 200-ok\r\n", REQUEST_EXPECT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int want = cases[i].want == WHOLE ? (int)strlen(cases[i].bytes) : cases[i].want;
		struct request r;
		int got = parse(cases[i].bytes, &r);

		if (got != want)
			fail_msg("%s: %d, not %d", cases[i].says, got, want);
	}
}

static void the_parts_of_a_request_are_found(void **state)
{
	struct request r;

	(void)state;
	assert_true(parse("POST /debug/pprof/x?a=b?c HTTP/1.1\r\n"
			  "hOST: \t localhost:1 \t\r\n"
			  "Origin: http://localhost:1\r\n"
			  "Sec-Fetch-Site: same-origin\r\n"
			  "Authorization: Bearer x y\r\n"
			  "Content-Type: text/plain; charset=utf-8\r\n"
			  "Hosts: no\r\nHos: no\r\n"
			  "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\nbody", &r) > 0);
	is_text(r.method, "POST");
	is_text(r.path, "/debug/pprof/x");
	is_text(r.query, "a=b?c");
	is_text(r.authority, NULL);
	is_text(r.host, "localhost:1");
	is_text(request_host(&r), "localhost:1");
	is_text(r.origin, "http://localhost:1");
	is_text(r.fetch_site, "same-origin");
	is_text(r.authorization, "Bearer x y");
	is_text(r.content_type, "text/plain; charset=utf-8");
	assert_true(r.expect_continue);
	assert_false(r.http10);

	assert_true(parse("GET /x HTTP/1.0\r\n\r\n", &r) > 0);
	is_text(r.query, "");
	is_text(r.host, NULL);
	is_text(r.origin, NULL);
	is_text(r.content_type, NULL);
	is_text(request_host(&r), NULL);
	assert_true(r.http10);
}

static void an_absolute_target_names_the_host(void **state)
{
	static const struct { const char *target, *host, *path, *query; } cases[] = {
		{ "http://a:1/x?y", "a:1", "/x", "y" },
		{ "HTTPS://a/x", "a", "/x", "" },
		{ "http://a", "a", "/", "" },
		{ "http://a?y", "a", "/", "y" },
		{ "http://[::1]:6060//x", "[::1]:6060", "//x", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char bytes[200] = "GET ";
		struct request r;

		strcat(strcat(bytes, cases[i].target), " HTTP/1.1\r\nHost: b\r\n\r\n");
		assert_int_equal(parse(bytes, &r), strlen(bytes));
		is_text(request_host(&r), cases[i].host);
		is_text(r.host, "b");
		is_text(r.path, cases[i].path);
		is_text(r.query, cases[i].query);
	}
}

static void an_answer_never_changes_with_more_bytes(void **state)
{
	static const char *const heads[] = {
		"\r\nPOST /a%20b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
		"GET / HTTP/1.0\nConnection: keep-alive\n\nGET /",
		"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\nbad line\r\n\r\n",
		"GET / HTTP/3.0\r\nbad line\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nHost: x\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		size_t whole = strlen(heads[i]);
		struct request r;
		int last = request_parse(wall_copy(heads[i], whole), whole, &r), before = 0;

		assert_int_not_equal(last, REQUEST_MORE);
		for (size_t len = 0; len <= whole; len++) {
			int got = request_parse(wall_copy(heads[i], len), len, &r);

			if (got != REQUEST_MORE && got != last)
				fail_msg("%zu bytes of %s: %d, not %d", len, heads[i], got, last);
			if (before != REQUEST_MORE && got != before)
				fail_msg("%zu bytes of %s: %d again", len, heads[i], got);
			before = got;
		}
	}
}

static void words_are_compared_whole_and_in_any_case(void **state)
{
	static const struct { const char *text, *word; bool want; } cases[] = {
		{ "chunked", "chunked", true },
		{ "CHUNKED", "chunked", true },
		{ "AZaz09", "azaz09", true },
		{ "chunke", "chunked", false },
		{ "chunkedx", "chunked", false },
		{ "", "chunked", false },
		{ "", "", true },
		{ "[", "{", false },
		{ "@", "`", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t len = strlen(cases[i].text);
		struct request_text text = { wall_copy(cases[i].text, len), len };

		if (request_text_is(text, cases[i].word) != cases[i].want)
			fail_msg("%s, %s", cases[i].text, cases[i].word);
	}
	assert_false(request_text_is((struct request_text){ "a\0b", 3 }, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_head_gets_its_documented_answer),
		cmocka_unit_test(the_parts_of_a_request_are_found),
		cmocka_unit_test(an_absolute_target_names_the_host),
		cmocka_unit_test(an_answer_never_changes_with_more_bytes),
		cmocka_unit_test(words_are_compared_whole_and_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
