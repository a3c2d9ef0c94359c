/* How much anybody may take: time, places, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/client.h"
#include "httpd/conn_state.h"

#define HOST    "Host: localhost\r\n"
#define CONFIG  "GET /debug/pprof/config HTTP/1.1\r\n" HOST "\r\n"
#define POST    "POST /debug/pprof/symbol HTTP/1.1\r\n" HOST
#define PROFILE "GET /debug/pprof/profile?seconds=20 HTTP/1.1\r\n" HOST "\r\n"
#define SECOND  UINT64_C(1000000000)

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

static void again(void)
{
	client_end();
	client_open();
}

/* --- the others, who are connected, too ------------------------------------------------------ */

#define PEERS_MAX 256

static struct peer { struct conn *conn; int fd; } peers[PEERS_MAX];

static void peer_open(struct peer *p)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	p->fd = ends[1];
	p->conn = conn_open(os_high_fd(ends[0]), &client.local.address[0], &client.desk);
	assert_non_null(p->conn);
}

static void peer_close(struct peer *p)
{
	if (p->conn != NULL)
		conn_close(p->conn);
	close(p->fd);
	p->conn = NULL;
}

/* Sends it, and gives the desk as many turns as that needs. */
static void peer_ask(struct peer *p, const char *request)
{
	assert_int_equal(write(p->fd, request, strlen(request)), strlen(request));
	assert_true(conn_go(p->conn, POLLIN, client_now()));
	while (conn_works(p->conn) && conn_due_ns(p->conn) <= client_now())
		assert_true(conn_go(p->conn, 0, client_now()));
}

/* The status of what came; 0 nothing. */
static int peer_status(struct peer *p)
{
	char text[4096];
	ssize_t n = read(p->fd, text, sizeof(text) - 1);
	int status = 0;

	text[n > 0 ? n : 0] = '\0';
	(void)!sscanf(text, "HTTP/1.1 %d ", &status);
	return status;
}

/* --- time ------------------------------------------------------------------------------------ */

static void what_a_refused_client_still_sends_is_dropped_for_a_moment(void **state)
{
	static char more[100u << 10];
	uint64_t due;

	(void)state;
	assert_false(client_ask(POST "Content-Length: 100000000\r\n\r\n"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 413);
	assert_non_null(client.conn);
	assert_true(client.ended);
	due = conn_due_ns(client.conn);
	assert_true(due <= client_now() + CONN_LINGER_NS);
	client_send(more, sizeof(more));
	client_serve();
	assert_non_null(client.conn);
	assert_int_equal(conn_due_ns(client.conn), due);
	assert_true(nothing_more_came());
	assert_true(conn_go(client.conn, 0, due - 1));
	assert_false(conn_go(client.conn, 0, due));
	/* Nor as much as he likes. */
	again();
	assert_false(client_ask(POST "Content-Length: 100000000\r\n\r\n"));
	for (int i = 0; i < 3 && client.conn != NULL; i++) {
		client_send(more, sizeof(more));
		client_serve();
	}
	assert_null(client.conn);
}

static void who_reads_by_drops_is_closed_in_the_end(void **state)
{
	static char request[CONN_BODY_MAX];
	size_t at = (size_t)sprintf(request, POST "Content-Length: %d\r\n\r\n", 60000 * 15);
	unsigned turns = 0;

	(void)state;
	for (int i = 0; i < 60000; i++, at += 15)
		memcpy(request + at, "0x555500000010+", 15);
	client_send(request, at);
	for (; client_serve() && turns < 100; turns++) {
		client.later_ns += 20 * SECOND;
		client_read(20480);             /* in 20 seconds */
	}
	assert_null(client.conn);
	assert_true(client.len < 60000 * 20);
}

static void who_sends_a_body_by_drops_is_closed_in_the_end(void **state)
{
	unsigned turns = 0;

	(void)state;
	assert_true(client_ask(POST "Content-Length: 8000000\r\n\r\n"));
	for (; client.conn != NULL && turns < 100; turns++) {
		client.later_ns += SECOND;
		client_send("+", 1);
		client_serve();
	}
	assert_null(client.conn);
	assert_in_range(turns, 10, 11);
}

static void who_sends_a_body_fast_enough_may_take_long(void **state)
{
	static const char some[20u << 10];
	size_t sent = 0;

	(void)state;
	assert_true(client_ask(POST "Content-Length: 4096000\r\n\r\n"));
	for (; sent < 4096000; sent += sizeof(some)) {
		client.later_ns += SECOND;
		client_send(some, sizeof(some));
		client_serve();
	}
	assert_true(client_receive());
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
}

static void a_chunked_body_may_be_as_large(void **state)
{
	static char chunk[100000 + 16];
	size_t at = (size_t)sprintf(chunk, "186a0\r\n");
	uint64_t before = os_mapped_bytes();

	(void)state;
	memset(chunk + at, '+', 100000);
	memcpy(chunk + at + 99985, "+0x555500000010", 15);
	strcpy(chunk + at + 100000, "\r\n");
	assert_true(client_ask(POST "Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 80; i++)
		client_send(chunk, at + 100002);
	assert_true(client_ask("0\r\n\r\n"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.len, 15 + 80 * 20);
	while (conn_sweep())
		;
	assert_true(os_mapped_bytes() <= before + (1u << 20));  /* the names' */
}

static void a_body_takes_what_has_come_of_it(void **state)
{
	static char some[1u << 20];
	uint64_t before = os_mapped_bytes();

	(void)state;
	memset(some, '+', sizeof(some));
	assert_true(client_ask(POST "Content-Length: 8000000\r\n\r\n"));
	assert_true(os_mapped_bytes() <= before + 2 * ARENA_FIRST_BYTES);
	for (unsigned sent = 1; sent <= 4; sent++) {
		client_send(some, sizeof(some));
		client_serve();
		assert_true(os_mapped_bytes() <= before + 2 * sent * sizeof(some));
	}
	for (size_t left = 8000000 - 4 * sizeof(some); left > 0;) {
		size_t n = left < sizeof(some) ? left : sizeof(some);

		client_send(some, n);
		left -= n;
	}
	assert_true(client_receive());
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	while (conn_sweep())
		;
	assert_true(os_mapped_bytes() <= before + (1u << 20));
}

/* --- places ---------------------------------------------------------------------------------- */

static void only_so_many_may_wait_for_their_time(void **state)
{
	struct peer *last = &peers[CONN_SLEEPERS_MAX];

	(void)state;
	for (unsigned i = 0; i < CONN_SLEEPERS_MAX; i++) {
		peer_open(&peers[i]);
		peer_ask(&peers[i], PROFILE);
		assert_int_equal(peer_status(&peers[i]), 0);
	}
	peer_open(last);
	peer_ask(last, PROFILE);
	if (conn_events(last->conn) == POLLOUT)
		assert_true(conn_go(last->conn, POLLOUT, client_now()));
	assert_int_equal(peer_status(last), 503);
	/* Others are served, and it may come again. */
	assert_true(client_ask(CONFIG));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	peer_close(&peers[7]);
	peer_ask(last, PROFILE);
	assert_int_equal(peer_status(last), 0);
	assert_true(conn_works(last->conn));
	for (unsigned i = 0; i <= CONN_SLEEPERS_MAX; i++)
		if (i != 7)
			peer_close(&peers[i]);
	/* Nobody of them is counted any more. */
	for (unsigned i = 0; i < CONN_SLEEPERS_MAX; i++) {
		peer_open(&peers[i]);
		peer_ask(&peers[i], PROFILE);
		assert_true(conn_works(peers[i].conn));
	}
	for (unsigned i = 0; i < CONN_SLEEPERS_MAX; i++)
		peer_close(&peers[i]);
}

/* What it has made of the desk for itself is gone with its memory. */
static void who_is_sent_away_leaves_nothing_of_his_behind(void **state)
{
	static const char names[] = "GET /debug/pprof/profile?seconds=20&symbolize=none "
				    "HTTP/1.1\r\n" HOST "\r\n";
	struct peer *last = &peers[CONN_SLEEPERS_MAX];

	(void)state;
	for (unsigned i = 0; i < CONN_SLEEPERS_MAX; i++) {
		peer_open(&peers[i]);
		peer_ask(&peers[i], PROFILE);
	}
	peer_open(last);
	for (unsigned i = 0; i < 2; i++) {
		peer_ask(last, names);
		if (conn_events(last->conn) == POLLOUT)
			assert_true(conn_go(last->conn, POLLOUT, client_now()));
		assert_int_equal(peer_status(last), 503);
	}
	for (unsigned i = 0; i <= CONN_SLEEPERS_MAX; i++)
		peer_close(&peers[i]);
}

static void who_does_nothing_gives_way_first(void **state)
{
	enum { REFUSED, OLD, SILENT, NEW, SERVED_OLD, SERVED, WORKS, COUNT };
	uint64_t now, spare[COUNT];

	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		peer_open(&peers[i]);
	peer_ask(&peers[REFUSED], "nonsense\r\n\r\n");
	assert_true(conn_go(peers[REFUSED].conn, POLLOUT, client_now()));
	/* Drops do not make it younger. */
	assert_int_equal(write(peers[OLD].fd, "G", 1), 1);
	assert_true(conn_go(peers[OLD].conn, POLLIN, client_now() + SECOND));
	peer_ask(&peers[SERVED_OLD], CONFIG);
	usleep(1000);
	peer_ask(&peers[SERVED], CONFIG);
	peer_ask(&peers[WORKS], PROFILE);
	now = client_now() + 3 * SECOND;
	for (unsigned i = 0; i < COUNT; i++)
		spare[i] = conn_spare(peers[i].conn, now);
	for (unsigned i = 0; i + 1 < COUNT; i++)
		if (spare[i] <= spare[i + 1])
			fail_msg("%u does not go before %u", i, i + 1);
	assert_int_equal(spare[WORKS], 0);
	for (unsigned i = 0; i < COUNT; i++)
		peer_close(&peers[i]);
}

static void who_does_not_read_gives_way(void **state)
{
	static const char junk[4096];

	(void)state;
	while (os_send(conn_fd(client.conn), junk, sizeof(junk)) > 0)
		;
	client_send(CONFIG, sizeof(CONFIG) - 1);
	client_serve();
	assert_int_equal(conn_events(client.conn), POLLOUT);
	assert_int_equal(conn_spare(client.conn, client_now()), 0);
	assert_true(conn_spare(client.conn, client_now() + 3 * SECOND) > 0);
}

/* --- memory ---------------------------------------------------------------------------------- */

#define MIB (UINT64_C(1) << 20)

static void all_requests_together_take_so_much_and_no_more(void **state)
{
	const uint64_t most = CONN_ALL_BYTES - 5 * MIB;
	uint64_t before = os_mapped_bytes();
	void *others = conn_map(most);
	static char body[64u << 10];

	(void)state;
	assert_non_null(others);
	assert_null(conn_map(6 * MIB));
	/* A body that would be too much on top of it is refused where it is, with words. */
	client_ask(POST "Content-Length: 8000000\r\n\r\n");
	for (unsigned sent = 0; sent < 8000000 && !client.ended; sent += sizeof(body)) {
		client_send(body, sizeof(body));
		client_receive();
	}
	assert_true(client.ended);
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 500);
	assert_int_equal(answer.len, sizeof("500 Internal Server Error: out of memory") - 1);
	/* Small ones have room all the same, also if nothing is left. */
	others = conn_grow(others, most, CONN_ALL_BYTES - ARENA_FIRST_BYTES);
	assert_non_null(others);
	again();
	assert_true(client_ask(CONFIG POST "Content-Length: 1\r\n\r\n+"));
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	assert_true(next_answer(&answer, false));
	assert_int_equal(answer.status, 200);
	conn_unmap(others, CONN_ALL_BYTES - ARENA_FIRST_BYTES);
	while (conn_sweep())
		;
	assert_true(os_mapped_bytes() <= before + MIB);
	others = conn_map(most);
	assert_non_null(others);
	conn_unmap(others, most);
}

/* Who says that he will send much, and does not, takes nothing from those who do. */
static void claims_take_nothing(void **state)
{
	char head[200];

	(void)state;
	snprintf(head, sizeof(head), POST "Content-Length: %u\r\n\r\n", CONN_BODY_MAX);
	for (unsigned i = 0; i < PEERS_MAX; i++) {
		peer_open(&peers[i]);
		peer_ask(&peers[i], head);
		assert_int_equal(peer_status(&peers[i]), 0);
	}
	who_sends_a_body_fast_enough_may_take_long(NULL);
	for (unsigned i = 0; i < PEERS_MAX; i++)
		peer_close(&peers[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_refused_client_still_sends_is_dropped_for_a_moment),
		TEST(who_reads_by_drops_is_closed_in_the_end),
		TEST(who_sends_a_body_by_drops_is_closed_in_the_end),
		TEST(who_sends_a_body_fast_enough_may_take_long),
		TEST(a_chunked_body_may_be_as_large),
		TEST(a_body_takes_what_has_come_of_it),
		TEST(only_so_many_may_wait_for_their_time),
		TEST(who_is_sent_away_leaves_nothing_of_his_behind),
		TEST(who_does_nothing_gives_way_first),
		TEST(who_does_not_read_gives_way),
		TEST(all_requests_together_take_so_much_and_no_more),
		TEST(claims_take_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
