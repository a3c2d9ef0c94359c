/* Who may come in by a connection, and what he is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/client.h"

#define HOST   "Host: localhost\r\n"
#define CONFIG "GET /debug/pprof/config HTTP/1.1\r\n" HOST "\r\n"

static struct client_answer answer;

static int begin(void **state)
{
	(void)state;
	make_program();
	client_open();
	return client.conn == NULL;
}

static int end(void **state)
{
	(void)state;
	client.desk.guard = (struct guard_policy){ .token = NULL };
	client.desk.cmdline = DESK_CMDLINE_FULL;
	client_end();
	drop_program();
	return 0;
}

static void again(void)
{
	client_end();
	client_open();
}

static void who_may_not_ask_is_told_so_before_he_sends_a_body(void **state)
{
	(void)state;
	assert_false(client_ask("POST /debug/pprof/symbol HTTP/1.1\r\nHost: evil.example\r\n"
				"Content-Length: 8000000\r\n\r\n"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 403);
	assert_true(has_field(&answer, "X-Go-Pprof: 1"));
	assert_true(has_field(&answer, "Content-Type: text/plain; charset=utf-8"));
}

static void without_the_token_nothing_is_said(void **state)
{
	static const struct token token = { "0123456789abcdef" };

	(void)state;
	client.desk.guard.token = &token;
	assert_false(client_ask(CONFIG));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 401);
	assert_true(has_field(&answer, "X-Go-Pprof: 1"));
	assert_true(has_field(&answer, "WWW-Authenticate: Basic realm=\"pprofshim\""));
	assert_true(nothing_more_came());
	again();
	/* Nor what is there and what is not, nor where it went. */
	assert_false(client_ask("GET /debug//x HTTP/1.1\r\n" HOST "\r\n"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 401);
	again();
	assert_true(client_ask("GET /debug/pprof/config HTTP/1.1\r\nHost: pod\r\n"
			       "Authorization: Bearer 0123456789abcdef\r\n\r\n"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
}

#define PAGE "Origin: https://a.example\r\nSec-Fetch-Site: cross-site\r\n"

static void a_listed_page_reads_and_its_browser_may_ask_before(void **state)
{
	static const char preflight[] = "OPTIONS /debug/pprof/heap HTTP/1.1\r\n" HOST PAGE
					"Access-Control-Request-Method: GET\r\n\r\n";
	static const char get[] = "GET /debug/pprof/config HTTP/1.1\r\n" HOST PAGE "\r\n";

	(void)state;
	assert_false(client_ask(get));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 403);
	assert_null(strstr(answer.head, "Access-Control-"));
	assert_null(strstr(answer.head, "Vary:"));
	client.desk.guard.origins = "https://a.example";
	again();
	assert_true(client_ask(preflight));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_true(has_field(&answer, "Access-Control-Allow-Origin: https://a.example"));
	assert_true(has_field(&answer, "Access-Control-Allow-Methods: GET, HEAD"));
	assert_true(has_field(&answer, "Vary: Origin"));
	assert_int_equal(answer.len, 0);
	assert_true(client_ask(get));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_true(has_field(&answer, "Access-Control-Allow-Origin: https://a.example"));
	assert_null(strstr(answer.head, "Access-Control-Allow-Methods:"));
	/* On the same connection, for somebody else. */
	assert_true(client_ask(CONFIG));
	assert_true(next_answer(&answer, false));
	assert_null(strstr(answer.head, "Access-Control-"));
	assert_true(has_field(&answer, "Vary: Origin"));
	assert_false(client_ask("nonsense\r\n\r\n"));
	assert_true(next_answer(&answer, false));
	assert_null(strstr(answer.head, "Access-Control-"));
}

static void the_server_itself_can_be_asked_what_it_can(void **state)
{
	(void)state;
	assert_true(client_ask("OPTIONS * HTTP/1.1\r\n" HOST "\r\n" CONFIG));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.len, 0);
	assert_true(has_field(&answer, "Content-Length: 0"));
	assert_null(strstr(answer.head, "Access-Control-"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_true(client_ask("OPTIONS /debug/pprof/config HTTP/1.1\r\n" HOST "\r\n"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 405);
}

static void the_command_line_can_be_kept_back(void **state)
{
	static const char ask[] = "GET /debug/pprof/cmdline HTTP/1.1\r\n" HOST "\r\n";
	char whole[4096];
	size_t n;

	(void)state;
	assert_true(client_ask(ask));
	assert_true(next_answer(&answer, false));
	n = answer.len;
	memcpy(whole, answer.body, n);
	whole[n] = '\0';
	client.desk.cmdline = DESK_CMDLINE_ARGV0;
	assert_true(client_ask(ask));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.len, strcspn(whole, " "));
	assert_memory_equal(answer.body, whole, answer.len);
	assert_true(n > answer.len);            /* it has arguments: see main */
	client.desk.cmdline = DESK_CMDLINE_OFF;
	assert_true(client_ask(ask));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 403);
	assert_null(memmem(answer.body, answer.len, whole, strlen(whole)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(who_may_not_ask_is_told_so_before_he_sends_a_body),
		TEST(without_the_token_nothing_is_said),
		TEST(a_listed_page_reads_and_its_browser_may_ask_before),
		TEST(the_server_itself_can_be_asked_what_it_can),
		TEST(the_command_line_can_be_kept_back),
	};

	/* With an argument that should not be told. */
	if (argc == 1) {
		execl("/proc/self/exe", argv[0], "--password=secret", (char *)NULL);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
