#include "httpd/conn_state.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "httpd/head.h"
#include "httpd/job.h"
#include "sampler/os.h"

/* Room for a body doubles as it comes. */
#define BODY_ROOM ARENA_FIRST_BYTES
/* Who has not read for so long does not read. */
#define STUCK_NS 2000000000ull

struct conn *conn_open(int fd, const struct address *local, const struct desk_view *desk)
{
	struct conn *c = os_map(sizeof(*c));

	if (c == NULL) {
		os_close(fd);
		return NULL;
	}
	c->fd = fd;
	c->moved_ns = os_monotonic_ns();
	c->deadline_ns = c->moved_ns + CONN_REQUEST_NS;
	c->desk = c->x.desk = desk;
	c->x.local = local;
	arena_init(&c->x.arena, CONN_ARENA_BYTES, conn_map, conn_unmap);
	return c;
}

void conn_close(struct conn *c)
{
	conn_end_request(c);
	os_close(c->fd);
	os_unmap(c, sizeof(*c));
}

int conn_fd(const struct conn *c)
{
	return c->fd;
}

const struct address *conn_local(const struct conn *c)
{
	return c->x.local;
}

/* While a job works, only the end of the client is of interest. */
short conn_events(const struct conn *c)
{
	return c->state == WORK ? POLLRDHUP : c->state == WRITE ? POLLOUT : POLLIN;
}

bool conn_works(const struct conn *c)
{
	return c->state == WORK;
}

unsigned conn_steps(const struct conn *c)
{
	return c->steps;
}

uint64_t conn_due_ns(const struct conn *c)
{
	return c->state == WORK ? job_wake_ns(c->job) : c->deadline_ns;
}

uint64_t conn_spare(const struct conn *c, uint64_t now_ns)
{
	const uint64_t most = (UINT64_C(1) << 60) - 1;
	uint64_t age = now_ns > c->moved_ns ? now_ns - c->moved_ns : 0, rank;

	if (c->state == LINGER)
		rank = 4;
	else if (c->state == WORK || (c->state == WRITE && age < STUCK_NS))
		return 0;
	else if (c->state == WRITE)
		rank = 2;
	else
		rank = c->was_let_in ? 1 : 3;
	return rank << 60 | (age < most ? age : most);
}

/* --- the request ----------------------------------------------------------------------------- */

/* Room for n more bytes of data, as they come from the socket: what they decode to always fits. */
static bool make_room(struct conn *c, size_t n)
{
	size_t room = c->data_room;
	char *larger;

	if (n <= room - c->data_len)
		return true;
	while (n > room - c->data_len)
		room *= 2;
	if (room > c->data_most)
		room = c->data_most;
	larger = conn_grow(c->data, c->data_room, room);
	if (larger == NULL)
		return false;
	c->data = larger;
	c->data_room = room;
	return true;
}

/* Bytes behind the head: of the body first, the rest is the next request's. */
static void take_body(struct conn *c, char *bytes, size_t n, uint64_t now_ns)
{
	size_t len = n, rest = 0;
	int result;

	if (!make_room(c, n)) {
		conn_refuse(c, 500, "out of memory", now_ns);
		return;
	}
	memcpy(c->data + c->data_len, bytes, n);
	result = request_body_parse(&c->body, c->data + c->data_len, &len, &rest);
	if (result < 0) {
		conn_refuse(c, -result, NULL, now_ns);
		return;
	}
	memcpy(c->in + c->head_len, c->data + c->data_len + len, rest);
	c->have = c->head_len + rest;
	c->data_len += len;
	c->deadline_ns = conn_with_rate(c->began_ns + CONN_REQUEST_NS, c->data_len);
	if (result == REQUEST_BODY_DONE)
		conn_begin_work(c, now_ns);
}

static char *map_body(struct conn *c)
{
	c->data_most = sizeof(c->in) + (c->x.request.has_length ? (size_t)c->x.request.length
								: CONN_BODY_MAX);
	c->data_room = c->data_most < BODY_ROOM ? c->data_most : BODY_ROOM;
	return conn_map(c->data_room);
}

static void begin_body(struct conn *c, uint64_t now_ns)
{
	int result = request_body_begin(&c->body, &c->x.request, CONN_BODY_MAX);
	size_t already = c->have - c->head_len;
	char bytes[sizeof(c->in)];

	c->data_len = 0;
	if (result == REQUEST_BODY_DONE) {
		conn_begin_work(c, now_ns);
		return;
	}
	if (result == REQUEST_MORE)
		c->data = map_body(c);
	if (result < 0 || c->data == NULL) {
		conn_refuse(c, result < 0 ? -result : 500, NULL, now_ns);
		return;
	}
	c->state = READ_BODY;
	c->began_ns = now_ns;
	c->deadline_ns = now_ns + CONN_REQUEST_NS;
	if (c->x.request.expect_continue &&
	    os_send(c->fd, HEAD_CONTINUE, sizeof(HEAD_CONTINUE) - 1) != sizeof(HEAD_CONTINUE) - 1)
		c->close_after = true;
	memcpy(bytes, c->in + c->head_len, already);
	if (already > 0)
		take_body(c, bytes, already, now_ns);
}

static void parse_head(struct conn *c, uint64_t now_ns)
{
	int result = request_parse(c->in, c->have, &c->x.request);
	struct guard_verdict verdict;

	if (result == REQUEST_MORE)
		return;
	c->x.origin_is_listed = false;
	if (result < 0) {
		memset(&c->x.request, 0, sizeof(c->x.request));
		conn_refuse(c, -result, NULL, now_ns);
		return;
	}
	c->head_len = (size_t)result;
	c->close_after = c->x.request.close;
	verdict = guard_check(&c->x.request, c->x.local, &c->x.desk->guard);
	c->x.origin_is_listed = verdict.is_listed;
	if (verdict.status != 0) {
		conn_turn_away(c, &verdict, now_ns);
		return;
	}
	c->was_let_in = true;
	begin_body(c, now_ns);
}

static bool go_linger(struct conn *c)
{
	char dropped[CONN_READ_BYTES];
	long n = os_read(c->fd, dropped, sizeof(dropped));

	c->data_len += n > 0 ? (size_t)n : 0;
	return (n > 0 && c->data_len < CONN_LINGER_BYTES) || n == -EAGAIN;
}

static bool go_read(struct conn *c, uint64_t now_ns)
{
	char bytes[CONN_READ_BYTES];
	long n = os_read(c->fd, bytes, sizeof(bytes));

	if (n <= 0)
		return n == -EAGAIN;
	if (c->was_let_in)
		c->moved_ns = now_ns;
	if (c->state == READ_BODY) {
		take_body(c, bytes, (size_t)n, now_ns);
		return true;
	}
	if (c->have == 0)
		c->deadline_ns = now_ns + CONN_REQUEST_NS;
	memcpy(c->in + c->have, bytes, (size_t)n);
	c->have += (size_t)n;
	/* A line is judged when it ends; drops of one are not worth a look at all of them. */
	if (memchr(bytes, '\n', (size_t)n) != NULL || c->have >= REQUEST_HEAD_MAX)
		parse_head(c, now_ns);
	return true;
}

/* The client has gone: its work stops.  One that has only said its last word (a shell's pipe)
 * still gets what is ready, but nothing waits for it. */
static bool has_gone(const struct conn *c, short revents, uint64_t now_ns)
{
	return (revents & (POLLHUP | POLLERR)) != 0 ||
	       ((revents & POLLRDHUP) != 0 && job_wake_ns(c->job) > now_ns);
}

static bool go_on(struct conn *c, uint64_t now_ns)
{
	switch (c->state) {
	case WRITE:
		return conn_go_write(c, now_ns);
	case LINGER:
		return go_linger(c);
	default:
		return go_read(c, now_ns);
	}
}

bool conn_go(struct conn *c, short revents, uint64_t now_ns)
{
	enum conn_state before = c->state;

	if (revents != 0 && !os_is_ours(c->fd))
		return false;
	if (c->state == WORK) {
		if (has_gone(c, revents, now_ns))
			return false;
		conn_go_work(c, now_ns);
		/* Nearly always there is room at once. */
		if (c->state == WRITE && !conn_go_write(c, now_ns))
			return false;
	} else if (now_ns >= c->deadline_ns || (revents != 0 && !go_on(c, now_ns))) {
		return false;
	}
	/* Pipelined requests are here already: no poll will tell. */
	if (c->state == READ_HEAD && before != READ_HEAD && c->have > 0)
		parse_head(c, now_ns);
	return true;
}
