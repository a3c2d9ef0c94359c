#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "fuzz/wall.h"
#include "httpd/head.h"

#define TEXT(s)  { (s), sizeof(s) - 1 }
#define STORE    "Cache-Control: no-store\r\n"
#define PLAIN    "Content-Type: text/plain; charset=utf-8\r\n"
#define BINARY   "Content-Type: application/octet-stream\r\n"
#define NOSNIFF  "X-Content-Type-Options: nosniff\r\n"
#define DATE     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define THEN     784111777
#define PLAIN_IS .content_type = "text/plain; charset=utf-8", .date_s = THEN

static const struct { const char *says; struct head head; const char *want; } cases[] = {
	{ "a profile",
	  { .status = 200, .content_type = "application/octet-stream", .filename = TEXT("heap"),
	    .length = 1234, .date_s = THEN },
	  "HTTP/1.1 200 OK\r\n" STORE "Content-Disposition: attachment; filename=\"heap\"\r\n"
	  BINARY NOSNIFF DATE "Content-Length: 1234\r\n\r\n" },
	{ "an error of pprof",
	  { .status = 404, PLAIN_IS, .pprof_error = true, .length = 16 },
	  "HTTP/1.1 404 Not Found\r\n" STORE PLAIN NOSNIFF "X-Go-Pprof: 1\r\n" DATE
	  "Content-Length: 16\r\n\r\n" },
	{ "a wrong method",
	  { .status = 405, PLAIN_IS, .allow = "GET, HEAD", .length = 19 },
	  "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n" STORE PLAIN NOSNIFF DATE
	  "Content-Length: 19\r\n\r\n" },
	{ "a redirect",
	  { .status = 307, .content_type = "text/html; charset=utf-8", .date_s = THEN,
	    .location = TEXT("/debug/pprof/"), .query = TEXT("a=1?") },
	  "HTTP/1.1 307 Temporary Redirect\r\n" STORE "Content-Type: text/html; charset=utf-8\r\n"
	  "Location: /debug/pprof/?a=1?\r\n" DATE "Content-Length: 0\r\n\r\n" },
	{ "a redirect without query",
	  { .status = 301, .location = TEXT("/"), .query = TEXT(""), .date_s = THEN },
	  "HTTP/1.1 301 Moved Permanently\r\n" STORE "Location: /\r\n" DATE
	  "Content-Length: 0\r\n\r\n" },
	{ "no token",
	  { .status = 401, PLAIN_IS },
	  "HTTP/1.1 401 Unauthorized\r\n" STORE PLAIN "WWW-Authenticate: Basic"
	  " realm=\"pprofshim\"\r\n" NOSNIFF DATE "Content-Length: 0\r\n\r\n" },
	{ "for a page of another origin",
	  { .status = 200, PLAIN_IS, .allow_origin = TEXT("https://a.example"), .varies = true },
	  "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://a.example\r\n" STORE PLAIN
	  "Vary: Origin\r\n" NOSNIFF DATE "Content-Length: 0\r\n\r\n" },
	{ "what such a page may do",
	  { .status = 200, .date_s = THEN, .allow_origin = TEXT("https://a.example"),
	    .varies = true, .preflight = true },
	  "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Headers: authorization\r\n"
	  "Access-Control-Allow-Methods: GET, HEAD\r\n"
	  "Access-Control-Allow-Origin: https://a.example\r\n"
	  "Access-Control-Allow-Private-Network: true\r\nAccess-Control-Max-Age: 600\r\n" STORE
	  "Vary: Origin\r\n" NOSNIFF DATE "Content-Length: 0\r\n\r\n" },
	{ "for another page, where some may read",
	  { .status = 403, PLAIN_IS, .varies = true },
	  "HTTP/1.1 403 Forbidden\r\n" STORE PLAIN "Vary: Origin\r\n" NOSNIFF DATE
	  "Content-Length: 0\r\n\r\n" },
	{ "1.1, closing",
	  { .status = 400, PLAIN_IS, .close = true },
	  "HTTP/1.1 400 Bad Request\r\n" STORE PLAIN NOSNIFF DATE
	  "Content-Length: 0\r\nConnection: close\r\n\r\n" },
	{ "1.0, closing",
	  { .status = 200, PLAIN_IS, .http10 = true, .close = true, .length = INT64_MAX },
	  "HTTP/1.0 200 OK\r\n" STORE PLAIN NOSNIFF DATE
	  "Content-Length: 9223372036854775807\r\n\r\n" },
	{ "1.0, staying",
	  { .status = 200, PLAIN_IS, .http10 = true },
	  "HTTP/1.0 200 OK\r\n" STORE PLAIN NOSNIFF DATE
	  "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n" },
	{ "1.1, chunks",
	  { .status = 200, PLAIN_IS, .length = HEAD_LENGTH_UNKNOWN },
	  "HTTP/1.1 200 OK\r\n" STORE PLAIN NOSNIFF DATE "Transfer-Encoding: chunked\r\n\r\n" },
	{ "1.0, up to the end of the connection",
	  { .status = 200, PLAIN_IS, .http10 = true, .length = HEAD_LENGTH_UNKNOWN },
	  "HTTP/1.0 200 OK\r\n" STORE PLAIN NOSNIFF DATE "\r\n" },
	{ "an unknown status, no content type",
	  { .status = 299, .date_s = THEN },
	  "HTTP/1.1 299 Status\r\n" STORE NOSNIFF DATE "Content-Length: 0\r\n\r\n" },
};

static void every_answer_has_the_fields_of_go(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *out = wall_room(1024);
		size_t n = head_write(&cases[i].head, out, 1024);

		if (n != strlen(cases[i].want) || memcmp(out, cases[i].want, n) != 0)
			fail_msg("%s:\n%.*s", cases[i].says, (int)n, out);
	}
}

static void nothing_is_written_behind_the_room(void **state)
{
	size_t whole = strlen(cases[0].want);

	(void)state;
	for (size_t cap = 0; cap <= whole; cap++) {
		char *out = wall_room(cap);

		assert_int_equal(head_write(&cases[0].head, out, cap), whole);
		assert_memory_equal(out, cases[0].want, cap);
	}
}

/* The value of the line of head that starts with name. */
static const char *value_of(const struct head *head, const char *name)
{
	static char out[2048];
	size_t n = head_write(head, out, sizeof(out) - 1);
	char *at, *end;

	out[n] = 0;
	at = strstr(out, name);
	assert_non_null(at);
	at += strlen(name);
	end = strstr(at, "\r\n");
	assert_non_null(end);
	*end = 0;
	return at;
}

static void no_name_and_no_path_can_end_its_line(void **state)
{
	struct head name = { .status = 200, .filename = TEXT("a\"b\\c\r\nX: y\0z\x7f\xc3\xa9/d") };
	struct head path = { .status = 307,
			     .location = TEXT("/azAZ09 b\r\nX: y\"<>\\\xc3\xa9?#^`{|}%2f"
					      "-_.~!$&'()*+,;=:@[]"),
			     .query = TEXT("q?\r\n\\ ") };

	(void)state;
	assert_string_equal(value_of(&name, "filename="),
			    "\"a\\\"b\\\\c__X: y_z_\xc3\xa9/d\"");
	assert_string_equal(value_of(&path, "Location: "),
			    "/azAZ09%20b%0D%0AX:%20y%22%3C%3E%5C%C3%A9%3F%23%5E%60%7B%7C%7D%2f"
			    "-_.~!$&'()*+,;=:@[]?q?%0D%0A%5C%20");
	for (unsigned c = 0; c < 256; c++) {
		char text[2] = { '/', (char)c };
		struct head any = { .status = 307, .location = { text, 2 } };
		size_t n = strlen(value_of(&any, "Location: "));

		assert_true(n == 2 || n == 4);
	}
}

static void dates_are_those_of_gmtime(void **state)
{
	static const int64_t days[] = {
		0, 86399, 86400, 951782399, 951782400, 951868800, 4107542399, 4107542400,
		1709164800, 1709251200, 13569465600, 253402300799,
	};
	struct head head = { .status = 200 };
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		char want[64];
		struct tm tm;
		time_t t;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		t = i < COUNT_OF(days) ? days[i] : (time_t)((seed >> 11) % 253402300800);
		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		head.date_s = t;
		assert_string_equal(value_of(&head, "Date: "), want);
	}
	head.date_s = -1;
	assert_string_equal(value_of(&head, "Date: "), "Thu, 01 Jan 1970 00:00:00 GMT");
	head.date_s = INT64_MAX;
	assert_string_equal(value_of(&head, "Date: "), "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void every_status_of_the_parsers_has_words(void **state)
{
	static const int statuses[] = { 200, 301, 307, 400, 401, 403, 404, 405, 408, 413, 414, 415,
					417, 429, 431, 500, 501, 503, 505 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		assert_string_not_equal(head_reason(statuses[i]), "Status");
	assert_string_equal(head_reason(-1), "Status");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_has_the_fields_of_go),
		cmocka_unit_test(nothing_is_written_behind_the_room),
		cmocka_unit_test(no_name_and_no_path_can_end_its_line),
		cmocka_unit_test(dates_are_those_of_gmtime),
		cmocka_unit_test(every_status_of_the_parsers_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
