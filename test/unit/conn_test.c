/* Requests and answers on one connection.  What goes wrong: conn_trouble_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/client.h"

/* All but the empty line. */
#define REQUEST(method, name) method " /debug/pprof/" name " HTTP/1.1\r\nHost: localhost\r\n"

#define CMDLINE REQUEST("GET", "cmdline") "\r\n"
#define CONFIG  REQUEST("GET", "config") "\r\n"
#define POST    REQUEST("POST", "config")
#define CLOSE   "Connection: close\r\n"

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
	client_end();
	drop_program();
	return 0;
}

static void assert_answer(int status, const char *body)
{
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, status);
	if (body == NULL)
		return;
	assert_int_equal(answer.len, strlen(body));
	assert_memory_equal(answer.body, body, answer.len);
}

static void assert_rates(unsigned hz, unsigned rate)
{
	char body[128];

	snprintf(body, sizeof(body),
		 "{\"cpu_hz\": %u, \"heap_rate\": %u, \"block_rate\": 10000, "
		 "\"mutex_fraction\": 1}\n",
		 hz, rate);
	assert_answer(200, body);
}

/* --- one after the other --------------------------------------------------------------------- */

static void a_request_is_answered_and_the_connection_stays(void **state)
{
	(void)state;
	assert_true(client_ask(CONFIG));
	assert_rates(100, 524288);
	assert_memory_equal(answer.head, "HTTP/1.1 200 OK\r\n", 17);
	assert_true(has_field(&answer, "Content-Type: application/json"));
	assert_true(has_field(&answer, "Cache-Control: no-store"));
	assert_null(strstr(answer.head, "Connection:"));
	assert_true(nothing_more_came());
	for (int i = 0; i < 100; i++) {
		assert_true(client_ask(CONFIG));
		assert_rates(100, 524288);
	}
}

static void requests_that_come_together_are_answered_in_order(void **state)
{
	(void)state;
	assert_true(client_ask(CMDLINE CONFIG "\r\n" CMDLINE
			       POST "Content-Length: 8\r\n\r\ncpu_hz=7" CONFIG
			       POST "Transfer-Encoding: chunked\r\n\r\n"
				    "4\r\nheap\r\n7\r\n_rate=1\r\n0\r\n\r\n" CONFIG));
	assert_answer(200, NULL);
	assert_rates(100, 524288);
	assert_answer(200, NULL);
	assert_rates(7, 524288);
	assert_rates(7, 524288);
	assert_rates(7, 1);
	assert_rates(7, 1);
	assert_true(nothing_more_came());
}

/* More of them than fit into what is read at once. */
static void very_many_requests_may_come_together(void **state)
{
	enum { MANY = 1000 };
	static char many[MANY * sizeof(CONFIG)];

	(void)state;
	for (int i = 0; i < MANY; i++)
		strcpy(many + (size_t)i * (sizeof(CONFIG) - 1), CONFIG);
	assert_true(client_ask(many));
	for (int i = 0; i < MANY; i++)
		assert_rates(100, 524288);
	assert_true(nothing_more_came());
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char request[] = POST "Transfer-Encoding: chunked\r\n\r\n"
					   "4\r\nheap\r\n7\r\n_rate=1\r\n0\r\n\r\n" CONFIG;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(request); i++) {
		client_send(request + i, 1);
		assert_true(client_receive());
	}
	assert_rates(100, 1);
	assert_rates(100, 1);
	assert_true(nothing_more_came());
}

static void a_body_may_come_in_any_pieces(void **state)
{
	static const char request[] = POST "Content-Length: 8\r\n\r\ncpu_hz=9" CONFIG;

	(void)state;
	for (size_t cut = 1; cut + 1 < sizeof(request); cut++) {
		client_send(request, cut);
		assert_true(client_receive());
		client_send(request + cut, sizeof(request) - 1 - cut);
		assert_true(client_receive());
		assert_rates(9, 524288);
		assert_rates(9, 524288);
		assert_true(nothing_more_came());
	}
}

static void a_large_body_is_taken_whole(void **state)
{
	static char request[CONN_BODY_MAX + 256];
	size_t at = (size_t)sprintf(request, REQUEST("POST", "symbol") "Content-Length: %u\r\n\r\n",
				    CONN_BODY_MAX);

	(void)state;
	/* As many numbers that mean nothing, and one at the end that does. */
	memset(request + at, '+', CONN_BODY_MAX);
	memcpy(request + at + CONN_BODY_MAX - 15, "+0x555500000010", 15);
	client_send(request, at + CONN_BODY_MAX);
	assert_true(client_receive());
	assert_answer(200, "num_symbols: 1\n0x555500000010 work\n");
}

static void a_client_that_waits_is_told_to_go_on(void **state)
{
	(void)state;
	assert_true(client_ask(POST "Content-Length: 8\r\nExpect: 100-continue\r\n\r\n"));
	assert_string_equal(client.got, "HTTP/1.1 100 Continue\r\n\r\n");
	client.at = client.len;
	assert_true(client_ask("cpu_hz=3"));
	assert_rates(3, 524288);
}

/* --- the end of a connection ----------------------------------------------------------------- */

static void the_connection_ends_when_the_request_says_so(void **state)
{
	static const struct { const char *request; bool stays; const char *field; } cases[] = {
		{ REQUEST("GET", "config") "Host: x\r\n\r\n", false, NULL },
		{ CONFIG, true, NULL },
		{ REQUEST("GET", "config") CLOSE "\r\n", false, "Connection: close" },
		{ "GET /debug/pprof/config HTTP/1.0\r\n\r\n", false, NULL },
		{ "GET /debug/pprof/config HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true,
		  "Connection: keep-alive" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		client_end();
		client_open();
		assert_int_equal(client_ask(cases[i].request), cases[i].stays);
		assert_true(next_answer(&answer, false));
		if (i > 0)
			assert_int_equal(answer.status, 200);
		if (cases[i].field != NULL)
			assert_true(has_field(&answer, cases[i].field));
		else if (i > 0)
			assert_null(strstr(answer.head, "Connection:"));
		assert_true(nothing_more_came());
	}
}

static void behind_the_last_request_nothing_is_read(void **state)
{
	(void)state;
	assert_false(client_ask(REQUEST("GET", "config") CLOSE "\r\n"
				POST "Content-Length: 8\r\n\r\ncpu_hz=7"));
	assert_rates(100, 524288);
	assert_true(nothing_more_came());
	assert_int_equal(made.rates.cpu_hz, 100);
}

static void a_client_that_closes_is_closed(void **state)
{
	(void)state;
	assert_true(client_ask(CONFIG));
	client_close();
	assert_false(client_serve());
}

/* A shell's pipe says its last word and waits for the answer. */
static void a_client_that_only_stops_sending_gets_its_answer(void **state)
{
	(void)state;
	client_send(CONFIG CMDLINE, sizeof(CONFIG CMDLINE) - 1);
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	assert_false(client_receive());
	assert_rates(100, 524288);
	assert_answer(200, NULL);
	assert_true(nothing_more_came());
}

/* --- answers --------------------------------------------------------------------------------- */

static void a_head_has_the_length_and_no_body(void **state)
{
	char length[20] = "";

	(void)state;
	assert_true(client_ask(REQUEST("HEAD", "config") "\r\n" CONFIG));
	assert_true(next_answer(&answer, true));
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.head, "Content-Length: "));
	memcpy(length, strstr(answer.head, "Content-Length: "), 19);
	assert_rates(100, 524288);
	assert_non_null(strstr(answer.head, length));
	/* Where nobody made the body, nobody knows its length. */
	assert_true(client_ask(REQUEST("HEAD", "profile?seconds=30") "\r\n" CONFIG));
	assert_true(next_answer(&answer, true));
	assert_null(strstr(answer.head, "Content-Length:"));
	assert_true(has_field(&answer, "Transfer-Encoding: chunked"));
	assert_rates(100, 524288);
	assert_true(nothing_more_came());
}

static void an_answer_that_is_read_slowly_comes_whole(void **state)
{
	enum { ADDRESSES = 60000 };
	static char request[ADDRESSES * 15 + 256];
	size_t at = (size_t)sprintf(request, REQUEST("POST", "symbol") "Content-Length: %d\r\n\r\n",
				    ADDRESSES * 15);
	static const char line[] = "0x555500000010 work\n";

	(void)state;
	for (int i = 0; i < ADDRESSES; i++, at += 15)
		memcpy(request + at, "0x555500000010+", 15);
	client_send(request, at);
	/* It takes longer than any deadline, but something comes all the time; the kernel lets the
	 * desk write again when most of its buffer was read. */
	while (client_serve() && client_read(10007) > 0)
		client.later_ns += CONN_WRITE_NS / 64;
	assert_true(client.later_ns > CONN_WRITE_NS);
	assert_non_null(client.conn);
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.len, 15 + ADDRESSES * (sizeof(line) - 1));
	for (size_t i = 15; i < answer.len; i += sizeof(line) - 1)
		assert_memory_equal(answer.body + i, line, sizeof(line) - 1);
	assert_true(nothing_more_came());
}

/* Its answer is ready, and it takes its time. */
static void a_client_that_reads_slowly_keeps_no_row(void **state)
{
	static const char request[] = REQUEST("GET", "heap") "\r\n";
	static const char before[4096];
	size_t unread = 0;
	long n;

	(void)state;
	while ((n = os_send(conn_fd(client.conn), before, sizeof(before))) > 0)
		unread += (size_t)n;
	client_send(request, sizeof(request) - 1);
	do
		assert_true(client_turn());
	while (conn_works(client.conn));
	made.evicts[GROUND_HEAP] = 1;
	window_reclaim(&made_ground);
	assert_int_equal(made.evicts[GROUND_HEAP], 0);
	client_receive();
	client.at = unread;
	assert_answer(200, NULL);
}

static void a_path_that_is_not_clean_is_redirected(void **state)
{
	static const struct { const char *path, *location; } cases[] = {
		{ "/debug//pprof/heap?debug=1&x=%20y", "/debug/pprof/heap?debug=1&x=%20y" },
		{ "/debug/./pprof/", "/debug/pprof/" },
		{ "/", "/debug/pprof/" },
		{ "/debug/pprof?x", "/debug/pprof/?x" },
		{ "//evil.example/../", "/" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char request[256], field[256];

		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
			 cases[i].path);
		snprintf(field, sizeof(field), "Location: %s", cases[i].location);
		assert_true(client_ask(request));
		assert_answer(307, NULL);
		if (!has_field(&answer, field))
			fail_msg("%s: %s", cases[i].path, answer.head);
	}
	/* Go's words for those who do not follow. */
	assert_true(client_ask("GET //x?a=<&b HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	assert_answer(307, "<a href=\"/x?a=%3C&amp;b\">Temporary Redirect</a>.\n\n");
	assert_true(has_field(&answer, "Content-Type: text/html; charset=utf-8"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_answered_and_the_connection_stays),
		TEST(requests_that_come_together_are_answered_in_order),
		TEST(very_many_requests_may_come_together),
		TEST(a_request_may_come_byte_by_byte),
		TEST(a_body_may_come_in_any_pieces),
		TEST(a_large_body_is_taken_whole),
		TEST(a_client_that_waits_is_told_to_go_on),
		TEST(the_connection_ends_when_the_request_says_so),
		TEST(behind_the_last_request_nothing_is_read),
		TEST(a_client_that_closes_is_closed),
		TEST(a_client_that_only_stops_sending_gets_its_answer),
		TEST(a_head_has_the_length_and_no_body),
		TEST(an_answer_that_is_read_slowly_comes_whole),
		TEST(a_client_that_reads_slowly_keeps_no_row),
		TEST(a_path_that_is_not_clean_is_redirected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
