#include "httpd/conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "httpd/guard.h"
#include "httpd/head.h"
#include "httpd/job.h"
#include "httpd/request_body.h"
#include "httpd/request_path.h"
#include "httpd/routes.h"
#include "sampler/os.h"

enum state { READ_HEAD, READ_BODY, WORK, WRITE };

#define READ_BYTES 4096
#define HEAD_OUT   2048

struct conn {
	int                 fd;
	enum state          state;
	uint64_t            deadline_ns;
	bool                close_after;
	struct exchange     x;
	struct job         *job;
	struct request_body body;
	char               *data;               /* the body as far as it came */
	size_t              data_len;
	size_t              head_len;           /* of the request, at the start of in */
	size_t              have;               /* bytes in in */
	char                in[REQUEST_HEAD_MAX + 2 * READ_BYTES];
	char                path[REQUEST_HEAD_MAX];
	size_t              out_len, out_sent;
	const char         *out;                /* the head of the answer: out_room, or longer */
	char                out_room[HEAD_OUT];
	struct body_piece  *piece;              /* being sent */
	size_t              piece_sent;
};

struct conn *conn_open(int fd, const struct address *local, const struct desk_view *desk)
{
	struct conn *c = os_map(sizeof(*c));

	if (c == NULL) {
		os_close(fd);
		return NULL;
	}
	c->fd = fd;
	c->deadline_ns = os_monotonic_ns() + CONN_REQUEST_NS;
	c->x.desk = desk;
	c->x.local = local;
	arena_init(&c->x.arena, CONN_ARENA_BYTES, os_map, os_unmap);
	return c;
}

static void end_request(struct conn *c)
{
	if (c->job != NULL)
		job_free(c->job);
	c->job = NULL;
	window_close(&c->x.window);
	arena_reset(&c->x.arena);
}

void conn_close(struct conn *c)
{
	end_request(c);
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

uint64_t conn_due_ns(const struct conn *c)
{
	return c->state == WORK ? job_wake_ns(c->job) : c->deadline_ns;
}

/* --- the answer ------------------------------------------------------------------------------ */

/* Only a redirect to a very long path needs more room; without memory there is no answer. */
static void write_head(struct conn *c, const struct head *head)
{
	size_t n = head_write(head, c->out_room, sizeof(c->out_room));
	char *longer;

	c->out = c->out_room;
	c->out_len = n;
	c->out_sent = 0;
	if (n <= sizeof(c->out_room))
		return;
	longer = arena_alloc(&c->x.arena, n);
	c->out = longer;
	c->out_len = longer != NULL ? head_write(head, longer, n) : 0;
	c->close_after |= longer == NULL;
}

static void begin_write(struct conn *c, uint64_t now_ns)
{
	const struct reply *r = &c->x.reply;
	struct head head = {
		.status = r->status,
		.http10 = c->x.request.http10,
		.close = c->close_after,
		.pprof_error = r->from_pprof,
		.content_type = r->content_type,
		.allow = r->allow,
		.length = r->length_unknown ? HEAD_LENGTH_UNKNOWN : (int64_t)r->body.len,
		.date_s = (int64_t)(os_realtime_ns() / 1000000000u),
	};

	/* All of it is read: a slow client must not keep the ground from folding. */
	window_close(&c->x.window);
	if (r->filename != NULL)
		head.filename = (struct request_text){ r->filename, strlen(r->filename) };
	if (r->location != NULL) {
		head.location = (struct request_text){ r->location, strlen(r->location) };
		head.query = c->x.request.query;
	}
	write_head(c, &head);
	c->piece = exchange_is_head(&c->x) ? NULL : r->body.first;
	c->piece_sent = 0;
	c->state = WRITE;
	c->deadline_ns = now_ns + CONN_WRITE_NS;
}

/* An answer that no route has made: the connection is closed behind it. */
static void refuse(struct conn *c, int status, const char *reason, uint64_t now_ns)
{
	memset(&c->x.reply, 0, sizeof(c->x.reply));
	body_init(&c->x.reply.body, &c->x.arena);
	exchange_mux_error(&c->x, status, reason != NULL ? reason : head_reason(status));
	c->close_after = true;
	begin_write(c, now_ns);
}

/* Returns what os_send does. */
static long send_more(struct conn *c)
{
	if (c->out_sent < c->out_len)
		return os_send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent);
	return os_send(c->fd, c->piece->bytes + c->piece_sent, c->piece->len - c->piece_sent);
}

static void sent(struct conn *c, size_t n)
{
	if (c->out_sent < c->out_len) {
		c->out_sent += n;
		return;
	}
	c->piece_sent += n;
	if (c->piece_sent == c->piece->len) {
		c->piece = c->piece->next;
		c->piece_sent = 0;
	}
}

/* False: the connection is over. */
static bool next_request(struct conn *c, uint64_t now_ns)
{
	end_request(c);
	if (c->close_after)
		return false;
	memmove(c->in, c->in + c->head_len, c->have - c->head_len);
	c->have -= c->head_len;
	c->head_len = 0;
	c->state = READ_HEAD;
	c->deadline_ns = now_ns + (c->have > 0 ? CONN_REQUEST_NS : CONN_IDLE_NS);
	return true;
}

static bool go_write(struct conn *c, uint64_t now_ns)
{
	while (c->out_sent < c->out_len || c->piece != NULL) {
		long n = send_more(c);

		if (n == -EAGAIN)
			return true;
		if (n <= 0)
			return false;
		sent(c, (size_t)n);
		c->deadline_ns = now_ns + CONN_WRITE_NS;
	}
	return next_request(c, now_ns);
}

/* --- the work -------------------------------------------------------------------------------- */

static void serve(void *arg)
{
	struct exchange *x = arg;

	routes_serve(x);
	if (x->arena.failed) {
		/* What was written took the memory: the error needs some, too. */
		window_close(&x->window);
		arena_reset(&x->arena);
		exchange_error(x, 500, "out of memory");
	}
}

static void begin_work(struct conn *c, uint64_t now_ns)
{
	struct guard_verdict verdict = guard_check(&c->x.request, c->x.local);
	bool moved;

	c->x.data = c->data;
	c->x.data_len = c->data_len;
	memset(&c->x.reply, 0, sizeof(c->x.reply));
	body_init(&c->x.reply.body, &c->x.arena);
	if (verdict.status != 0) {
		refuse(c, verdict.status, verdict.reason, now_ns);
		return;
	}
	c->x.path = c->path;
	c->x.path_len = request_path(&c->x.request, c->path, &moved);
	if (moved) {
		exchange_mux_error(&c->x, 307, "Temporary Redirect");
		c->x.reply.location = c->path;
		begin_write(c, now_ns);
		return;
	}
	c->job = job_new(serve, &c->x);
	if (c->job == NULL)
		refuse(c, 500, "out of memory", now_ns);
	else
		c->state = WORK;
}

static void go_work(struct conn *c, uint64_t now_ns)
{
	if (job_wake_ns(c->job) <= now_ns && job_step(c->job))
		begin_write(c, os_monotonic_ns());
}

/* --- the request ----------------------------------------------------------------------------- */

/* Bytes behind the head: of the body first, the rest is the next request's. */
static void take_body(struct conn *c, char *bytes, size_t n, uint64_t now_ns)
{
	size_t len = n, rest = 0;
	int result;

	memcpy(c->data + c->data_len, bytes, n);
	result = request_body_parse(&c->body, c->data + c->data_len, &len, &rest);
	if (result < 0) {
		refuse(c, -result, NULL, now_ns);
		return;
	}
	memcpy(c->in + c->head_len, c->data + c->data_len + len, rest);
	c->have = c->head_len + rest;
	c->data_len += len;
	if (result == REQUEST_BODY_DONE)
		begin_work(c, now_ns);
}

static void begin_body(struct conn *c, uint64_t now_ns)
{
	int result = request_body_begin(&c->body, &c->x.request, CONN_BODY_MAX);
	size_t already = c->have - c->head_len;
	char bytes[sizeof(c->in)];

	c->data_len = 0;
	c->data = NULL;
	if (result == REQUEST_BODY_DONE) {
		begin_work(c, now_ns);
		return;
	}
	if (result == REQUEST_MORE)
		c->data = arena_alloc(&c->x.arena, CONN_BODY_MAX + sizeof(c->in));
	if (result < 0 || c->data == NULL) {
		refuse(c, result < 0 ? -result : 500, NULL, now_ns);
		return;
	}
	c->state = READ_BODY;
	if (c->x.request.expect_continue &&
	    os_send(c->fd, HEAD_CONTINUE, sizeof(HEAD_CONTINUE) - 1) < 0)
		c->close_after = true;
	memcpy(bytes, c->in + c->head_len, already);
	if (already > 0)
		take_body(c, bytes, already, now_ns);
}

static void parse_head(struct conn *c, uint64_t now_ns)
{
	int result = request_parse(c->in, c->have, &c->x.request);

	if (result == REQUEST_MORE)
		return;
	if (result < 0) {
		memset(&c->x.request, 0, sizeof(c->x.request));
		refuse(c, -result, NULL, now_ns);
		return;
	}
	c->head_len = (size_t)result;
	c->close_after = c->x.request.close;
	begin_body(c, now_ns);
}

static bool go_read(struct conn *c, uint64_t now_ns)
{
	char bytes[READ_BYTES];
	long n = os_read(c->fd, bytes, sizeof(bytes));

	if (n <= 0)
		return n == -EAGAIN;
	if (c->state == READ_BODY) {
		take_body(c, bytes, (size_t)n, now_ns);
		return true;
	}
	if (c->have == 0)
		c->deadline_ns = now_ns + CONN_REQUEST_NS;
	memcpy(c->in + c->have, bytes, (size_t)n);
	c->have += (size_t)n;
	parse_head(c, now_ns);
	return true;
}

bool conn_go(struct conn *c, short revents, uint64_t now_ns)
{
	if (revents != 0 && !os_is_ours(c->fd))
		return false;
	if (c->state == WORK) {
		/* The client has gone: its work stops.  One that has only said its last word
		 * (a shell's pipe) still gets what is ready, but nothing waits for it. */
		if ((revents & (POLLHUP | POLLERR)) != 0 ||
		    ((revents & POLLRDHUP) != 0 && job_wake_ns(c->job) > now_ns))
			return false;
		go_work(c, now_ns);
	} else if (now_ns >= c->deadline_ns) {
		return false;
	} else if (revents != 0 &&
		   !(c->state == WRITE ? go_write(c, now_ns) : go_read(c, now_ns))) {
		return false;
	}
	/* Pipelined requests are here already: no poll will tell. */
	if (c->state == READ_HEAD && c->have > 0)
		parse_head(c, now_ns);
	return true;
}
