/* Requests that are none, clients that go or wait too long, a host that takes our descriptor, and
 * no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/syscall.h>

#include "fake/client.h"
#include "fake/sys_refused.h"

#define HOST    "Host: localhost\r\n"
#define CONFIG  "GET /debug/pprof/config HTTP/1.1\r\n" HOST "\r\n"
#define POST    "POST /debug/pprof/config HTTP/1.1\r\n" HOST
#define PROFILE "GET /debug/pprof/profile?seconds=20 HTTP/1.1\r\n" HOST "\r\n"
#define SECOND  UINT64_C(1000000000)

static struct client_answer answer;
static char long_text[3 * REQUEST_HEAD_MAX];

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
	sys_refuse(0, 0, 0);
	client_end();
	drop_program();
	return 0;
}

/* --- bad requests ---------------------------------------------------------------------------- */

static void assert_refused(const char *request, int status)
{
	client_end();
	client_open();
	if (client_ask(request))
		fail_msg("%d: still open", status);
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, status);
	assert_true(has_field(&answer, "Connection: close"));
	assert_true(answer.len > 0);
	assert_true(nothing_more_came());
	assert_int_equal(made.rates_set, 0);
}

static void what_is_no_request_is_refused_and_closed(void **state)
{
	static const struct { const char *request; int status; } cases[] = {
		{ "nonsense\r\n\r\n", 400 },
		{ "GET /x\r\n\r\n", 400 },
		{ "\x16\x03\x01\x02\x01\x01\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\n" HOST "\r\n", 505 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403 },
		{ "GET / HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n", 403 },
		{ "GET / HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n\r\n", 403 },
		{ POST "Content-Length: 8388609\r\n\r\n", 413 },
		{ POST "Content-Length: 99999999999999999999\r\n\r\n", 400 },
		{ POST "Transfer-Encoding: gzip\r\n\r\n", 501 },
		{ POST "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400 },
		{ POST "Transfer-Encoding: chunked\r\n\r\n800001\r\n", 413 },
		{ POST "Expect: something\r\nContent-Length: 1\r\n\r\n", 417 },
		/* What comes behind a bad one is not looked at. */
		{ "nonsense\r\n\r\n" POST "Content-Length: 8\r\n\r\ncpu_hz=1", 400 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_refused(cases[i].request, cases[i].status);
}

static const char *with_long(const char *before, size_t n, const char *after)
{
	size_t at = strlen(before);

	memcpy(long_text, before, at);
	memset(long_text + at, 'a', n);
	strcpy(long_text + at + n, after);
	return long_text;
}

static void what_is_too_long_is_refused_and_closed(void **state)
{
	(void)state;
	assert_refused(with_long("GET /", REQUEST_HEAD_MAX, ""), 414);
	assert_refused(with_long("GET /", 2 * REQUEST_HEAD_MAX, " HTTP/1.1\r\n" HOST "\r\n"), 414);
	assert_refused(with_long("GET / HTTP/1.1\r\n" HOST "X: ", REQUEST_HEAD_MAX, ""), 431);
	assert_refused(with_long("GET / HTTP/1.1\r\n" HOST "X: ", 2 * REQUEST_HEAD_MAX, "\r\n\r\n"),
		       431);
}

/* Of the answer before it on the same connection, a refusal has nothing. */
static void a_refusal_has_nothing_of_the_answer_before(void **state)
{
	static const char *const before[] = {
		"GET /debug/pprof HTTP/1.1\r\n" HOST "\r\n",
		"PUT /debug/pprof/config HTTP/1.1\r\n" HOST "\r\n",
		"GET /debug/pprof/heap HTTP/1.1\r\n" HOST "\r\n",
		"GET /debug/pprof/nope HTTP/1.1\r\n" HOST "\r\n",
		"HEAD /debug/pprof/profile HTTP/1.1\r\n" HOST "\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(before); i++) {
		client_end();
		client_open();
		assert_true(client_ask(before[i]));
		assert_true(next_answer(&answer, before[i][0] == 'H'));
		assert_false(client_ask("nonsense\r\n\r\n"));
		assert_true(next_answer(&answer, false));
		assert_int_equal(answer.status, 400);
		assert_null(strstr(answer.head, "Location:"));
		assert_null(strstr(answer.head, "Allow:"));
		assert_null(strstr(answer.head, "Content-Disposition:"));
		assert_null(strstr(answer.head, "X-Go-Pprof:"));
		assert_null(strstr(answer.head, "Transfer-Encoding:"));
		assert_true(has_field(&answer, "Content-Length: 15"));
		assert_true(nothing_more_came());
	}
}

/* Whatever its length, a path gets an answer that has a head. */
static void a_long_way_elsewhere_is_still_an_answer(void **state)
{
	static const size_t lengths[] = { 100, 1700, 1900, 2048, 4000, 7900 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		bool open;

		client_end();
		client_open();
		open = client_ask(with_long("GET //", lengths[i], " HTTP/1.1\r\n" HOST "\r\n"));
		assert_true(next_answer(&answer, false));
		assert_true(answer.status == 307 || answer.status == 414);
		assert_true(nothing_more_came());
		assert_true(open || has_field(&answer, "Connection: close"));
	}
}

/* --- clients that go ------------------------------------------------------------------------- */

static void a_request_that_sleeps_goes_on_when_it_is_time(void **state)
{
	uint64_t now = client_now();

	(void)state;
	assert_true(client_ask(PROFILE));
	assert_int_equal(client.len, 0);
	assert_in_range(conn_due_ns(client.conn), now + 20 * SECOND, client_now() + 20 * SECOND);
	client.later_ns = 4 * SECOND;
	assert_true(client_receive());
	assert_int_equal(client.len, 0);
	assert_int_equal(made.refreshes, 1);
	client.later_ns = 25 * SECOND;
	assert_true(client_receive());
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_true(has_field(&answer, "Content-Disposition: attachment; filename=\"profile\""));
	assert_int_equal(made.refreshes, 2);
}

static void the_request_of_a_client_that_has_gone_is_given_up(void **state)
{
	(void)state;
	assert_true(client_ask(PROFILE));
	client_close();
	assert_false(client_serve());
	assert_int_equal(made.refreshes, 1);
}

/* One that only stops sending is not waited for either: Go sees no difference. */
static void the_request_of_a_client_that_stops_sending_is_given_up_when_it_sleeps(void **state)
{
	(void)state;
	assert_true(client_ask(PROFILE));
	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	assert_false(client_serve());
}

static void what_comes_while_a_request_sleeps_is_kept(void **state)
{
	(void)state;
	assert_true(client_ask(PROFILE));
	assert_true(client_ask(CONFIG));
	assert_int_equal(client.len, 0);
	client.later_ns = 25 * SECOND;
	assert_true(client_receive());
	assert_true(next_answer(&answer, false));
	assert_true(next_answer(&answer, false));
	assert_true(has_field(&answer, "Content-Type: application/json"));
	assert_true(nothing_more_came());
}

static void a_client_that_goes_before_it_has_read_all_ends_nothing_but_itself(void **state)
{
	static char request[CONN_BODY_MAX];
	size_t at = (size_t)sprintf(request, "POST /debug/pprof/symbol HTTP/1.1\r\n" HOST
				    "Content-Length: %d\r\n\r\n", 60000 * 15);

	(void)state;
	for (int i = 0; i < 60000; i++, at += 15)
		memcpy(request + at, "0x555500000010+", 15);
	client_send(request, at);
	assert_true(client_serve());
	assert_true(client_read(1000) > 0);
	client_close();
	assert_false(client_serve());
}

/* --- time ------------------------------------------------------------------------------------ */

/* What a client has longer for so many bytes. */
static uint64_t time_of(size_t bytes)
{
	return bytes * SECOND / CONN_RATE;
}

/* Just before its time the connection stays, then it goes.  A busy machine may have taken a
 * while. */
static void assert_closes_after(uint64_t ns)
{
	uint64_t due = conn_due_ns(client.conn);

	assert_in_range(due, client_now() + ns - 5 * SECOND, client_now() + ns);
	assert_true(conn_go(client.conn, 0, due - 1));
	assert_false(conn_go(client.conn, 0, due));
}

static void a_client_that_says_nothing_is_closed(void **state)
{
	(void)state;
	assert_closes_after(CONN_REQUEST_NS);
}

static void a_client_that_does_not_finish_its_request_is_closed(void **state)
{
	uint64_t due;

	(void)state;
	assert_true(client_ask("GET /debug"));
	due = conn_due_ns(client.conn);
	/* More of it is no more time. */
	client.later_ns = 5 * SECOND;
	assert_true(client_ask("/pprof"));
	assert_int_equal(conn_due_ns(client.conn), due);
	assert_false(conn_go(client.conn, 0, due));
}

static void a_client_that_does_not_finish_its_body_is_closed(void **state)
{
	(void)state;
	assert_true(client_ask(POST "Content-Length: 8\r\n\r\ncpu"));
	assert_closes_after(CONN_REQUEST_NS + time_of(3));
	assert_int_equal(made.rates_set, 0);
}

static void between_requests_a_client_has_more_time(void **state)
{
	(void)state;
	assert_true(client_ask(CONFIG));
	assert_closes_after(CONN_IDLE_NS);
}

static void the_time_of_a_request_begins_with_its_first_byte(void **state)
{
	(void)state;
	assert_true(client_ask(CONFIG));
	client.later_ns = 50 * SECOND;
	assert_true(client_ask("G"));
	assert_closes_after(CONN_REQUEST_NS);
}

static void a_client_that_does_not_read_is_closed(void **state)
{
	static char request[CONN_BODY_MAX];
	size_t at = (size_t)sprintf(request, "POST /debug/pprof/symbol HTTP/1.1\r\n" HOST
				    "Content-Length: %d\r\n\r\n", 60000 * 15);

	(void)state;
	for (int i = 0; i < 60000; i++, at += 15)
		memcpy(request + at, "0x555500000010+", 15);
	client_send(request, at);
	assert_true(client_serve());
	/* What the kernel took went away at once; nothing says that anybody reads it. */
	at = client_read(CLIENT_ROOM);
	assert_closes_after(CONN_WRITE_NS + time_of(at));
}

/* --- the host -------------------------------------------------------------------------------- */

static void a_host_that_closes_our_descriptor_ends_the_connection(void **state)
{
	(void)state;
	close(conn_fd(client.conn));
	assert_false(client_serve());
}

static void a_descriptor_that_the_host_took_is_left_alone(void **state)
{
	int ends[2], fd = conn_fd(client.conn);
	char got[256];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(dup2(ends[0], fd), fd);
	assert_int_equal(write(ends[1], CONFIG, sizeof(CONFIG) - 1), sizeof(CONFIG) - 1);
	/* It was there to be read, but not by us. */
	assert_false(client_serve());
	assert_int_equal(read(ends[1], got, sizeof(got)), -1);
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(CONFIG) - 1);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void without_memory_there_is_no_connection(void **state)
{
	int fd = conn_fd(client.conn);

	(void)state;
	client_end();
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	client_open();
	sys_refuse(0, 0, 0);
	assert_null(client.conn);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Wherever it fails: an answer that says so, or none; the desk goes on. */
static void without_memory_for_it_a_request_is_refused(void **state)
{
	static const char *const requests[] = {
		CONFIG, POST "Content-Length: 8\r\n\r\ncpu_hz=7",
		"GET /debug/pprof/heap HTTP/1.1\r\n" HOST "\r\n",
		"GET /debug/pprof/heap?debug=1 HTTP/1.1\r\n" HOST "\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		for (unsigned nth = 1; nth < 100; nth++) {
			unsigned seen;

			client_end();
			client_open();
			names_reset();
			sys_refuse(SYS_mmap, nth, -ENOMEM);
			client_ask(requests[i]);
			seen = sys_refused.seen;
			sys_refuse(0, 0, 0);
			assert_true(next_answer(&answer, false));
			assert_true(answer.status == 500 || answer.status == 200);
			assert_true(nothing_more_came());
			if (seen < nth) {
				assert_int_equal(answer.status, 200);
				break;
			}
		}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_request_is_refused_and_closed),
		TEST(what_is_too_long_is_refused_and_closed),
		TEST(a_refusal_has_nothing_of_the_answer_before),
		TEST(a_long_way_elsewhere_is_still_an_answer),
		TEST(a_request_that_sleeps_goes_on_when_it_is_time),
		TEST(the_request_of_a_client_that_has_gone_is_given_up),
		TEST(the_request_of_a_client_that_stops_sending_is_given_up_when_it_sleeps),
		TEST(what_comes_while_a_request_sleeps_is_kept),
		TEST(a_client_that_goes_before_it_has_read_all_ends_nothing_but_itself),
		TEST(a_client_that_says_nothing_is_closed),
		TEST(a_client_that_does_not_finish_its_request_is_closed),
		TEST(a_client_that_does_not_finish_its_body_is_closed),
		TEST(between_requests_a_client_has_more_time),
		TEST(the_time_of_a_request_begins_with_its_first_byte),
		TEST(a_client_that_does_not_read_is_closed),
		TEST(a_host_that_closes_our_descriptor_ends_the_connection),
		TEST(a_descriptor_that_the_host_took_is_left_alone),
		TEST(without_memory_there_is_no_connection),
		TEST(without_memory_for_it_a_request_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
