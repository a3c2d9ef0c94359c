#include "httpd/conn_state.h"

#include <string.h>
#include <sys/syscall.h>

#include "httpd/head.h"
#include "httpd/job.h"
#include "httpd/meter.h"
#include "httpd/request_path.h"
#include "httpd/routes.h"
#include "sampler/os.h"
#include "sampler/sys.h"

#define LITTER_BYTES (512u << 10)
#define SWEEP_BYTES  (4u << 20)

/* At the start of memory that nobody needs any more. */
struct litter {
	struct litter *next;
	size_t         bytes;
};

/* Of all connections. */
static struct {
	struct litter *litter;
	uint64_t mapped;        /* by their arenas, and as litter */
	unsigned sleepers;
} all;

void conn_after_fork(void)
{
	memset(&all, 0, sizeof(all));
}

static bool has_room(size_t bytes)
{
	while (all.mapped + bytes > CONN_ALL_BYTES && all.litter != NULL)
		(void)conn_sweep();
	return all.mapped + bytes <= CONN_ALL_BYTES;
}

/* For an arena's first block, and so for an error's words, there is room always. */
void *conn_map(size_t bytes)
{
	void *p = bytes <= ARENA_FIRST_BYTES || has_room(bytes) ? os_map(bytes) : NULL;

	if (p != NULL)
		all.mapped += bytes;
	return p;
}

void *conn_grow(void *p, size_t bytes, size_t to)
{
	void *grown = has_room(to - bytes) ? os_grow(p, bytes, to) : NULL;

	if (grown != NULL)
		all.mapped += to - bytes;
	return grown;
}

/* To give a MiB back that was in use takes 0.1 ms: what is large waits for the sweeper. */
void conn_unmap(void *p, size_t bytes)
{
	struct litter *l = p;

	if (bytes >= LITTER_BYTES) {
		*l = (struct litter){ all.litter, bytes };
		all.litter = l;
		return;
	}
	all.mapped -= bytes;
	os_unmap(p, bytes);
}

bool conn_sweep(void)
{
	size_t swept = 0;

	while (all.litter != NULL && swept < SWEEP_BYTES) {
		struct litter l = *all.litter;

		os_unmap(all.litter, l.bytes);
		all.litter = l.next;
		all.mapped -= l.bytes;
		swept += l.bytes;
	}
	return all.litter != NULL;
}

/* The work is over, or nobody wants it any more.  What its route has made of the desk is in the
 * arena, which may go before the answer. */
static void end_work(struct conn *c)
{
	if (c->x.list != NULL)
		c->desk->ground->list_close(c->x.list);
	c->x.list = NULL;
	c->x.desk = c->desk;
	if (c->job != NULL)
		job_free(c->job);
	c->job = NULL;
	all.sleepers -= c->sleeps;
	c->sleeps = false;
	window_close(&c->x.window);
	if (c->data != NULL)
		conn_unmap(c->data, c->data_room);
	c->data = NULL;
}

void conn_end_request(struct conn *c)
{
	end_work(c);
	c->x.endpoint = NULL;
	arena_reset(&c->x.arena);
}

/* --- the answer ------------------------------------------------------------------------------ */

static void begin_write(struct conn *c, uint64_t now_ns)
{
	meter_request(c->x.endpoint, c->x.reply.status);
	/* All of it is read: a slow client must not keep the ground from folding. */
	end_work(c);
	c->close_after |= !answer_begin(&c->answer, &c->x, c->close_after);
	c->state = WRITE;
	c->began_ns = c->moved_ns = now_ns;
	c->deadline_ns = now_ns + CONN_WRITE_NS;
}

static void clear_reply(struct conn *c)
{
	memset(&c->x.reply, 0, sizeof(c->x.reply));
	body_init(&c->x.reply.body, &c->x.arena);
}

/* "400 Bad Request: reason", and no line end. */
void conn_refuse(struct conn *c, int status, const char *reason, uint64_t now_ns)
{
	char digits[4] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
			   (char)('0' + status % 10), '\0' };

	clear_reply(c);
	exchange_mux_error(&c->x, status, NULL);
	body_text(&c->x.reply.body, digits);
	body_text(&c->x.reply.body, " ");
	body_text(&c->x.reply.body, head_reason(status));
	body_text(&c->x.reply.body, reason != NULL ? ": " : "");
	body_text(&c->x.reply.body, reason != NULL ? reason : "");
	c->close_after = c->linger_after = true;
	begin_write(c, now_ns);
}

void conn_turn_away(struct conn *c, const struct guard_verdict *verdict, uint64_t now_ns)
{
	if (verdict->status == 400) {
		conn_refuse(c, verdict->status, verdict->reason, now_ns);
		return;
	}
	clear_reply(c);
	exchange_error(&c->x, verdict->status, verdict->reason);
	c->close_after = c->linger_after = true;
	begin_write(c, now_ns);
}

static bool next_request(struct conn *c, uint64_t now_ns)
{
	conn_end_request(c);
	if (c->linger_after) {
		sys_call2(SYS_shutdown, c->fd, SHUT_WR);
		c->state = LINGER;
		c->data_len = 0;
		c->deadline_ns = now_ns + CONN_LINGER_NS;
		return true;
	}
	if (c->close_after)
		return false;
	memmove(c->in, c->in + c->head_len, c->have - c->head_len);
	c->have -= c->head_len;
	c->head_len = 0;
	c->state = READ_HEAD;
	c->deadline_ns = now_ns + (c->have > 0 ? CONN_REQUEST_NS : CONN_IDLE_NS);
	return true;
}

bool conn_go_write(struct conn *c, uint64_t now_ns)
{
	uint64_t before = c->answer.sent;
	int done = answer_send(&c->answer, c->fd);

	if (done < 0)
		return false;
	if (c->answer.sent != before)
		c->moved_ns = now_ns;
	c->deadline_ns = conn_with_rate(c->began_ns + CONN_WRITE_NS, c->answer.sent);
	return done == 0 || next_request(c, now_ns);
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

/* OPTIONS: of a page that may read, and of "*", which is the server. */
static bool is_asked_what_it_can(struct conn *c)
{
	const struct request *r = &c->x.request;

	if (r->method.len != 7 || memcmp(r->method.at, "OPTIONS", 7) != 0)
		return false;
	c->x.reply.preflight = c->x.origin_is_listed;
	return c->x.origin_is_listed || r->path.at[0] == '*';
}

void conn_begin_work(struct conn *c, uint64_t now_ns)
{
	bool moved;

	c->x.data = c->data;
	c->x.data_len = c->data_len;
	clear_reply(c);
	c->x.path = c->path;
	c->x.path_len = request_path(&c->x.request, c->path, &moved);
	if (is_asked_what_it_can(c)) {
		c->x.reply.status = 200;
		begin_write(c, now_ns);
		return;
	}
	if (moved) {
		exchange_redirect(&c->x, c->path);
		begin_write(c, now_ns);
		return;
	}
	c->steps = 0;
	c->job = job_new(serve, &c->x);
	if (c->job == NULL)
		conn_refuse(c, 500, "out of memory", now_ns);
	else
		c->state = WORK;
}

/* Too many wait already: this one is not started. */
static void send_away(struct conn *c)
{
	end_work(c);
	arena_reset(&c->x.arena);
	clear_reply(c);
	exchange_error(&c->x, 503, "too many profiles at once");
	begin_write(c, os_monotonic_ns());
}

void conn_go_work(struct conn *c, uint64_t now_ns)
{
	if (job_wake_ns(c->job) > now_ns)
		return;
	c->moved_ns = now_ns;
	c->steps++;
	if (job_step(c->job)) {
		begin_write(c, os_monotonic_ns());
		return;
	}
	if (c->sleeps || job_wake_ns(c->job) <= os_monotonic_ns())
		return;
	if (all.sleepers >= CONN_SLEEPERS_MAX) {
		send_away(c);
		return;
	}
	c->sleeps = true;
	all.sleepers++;
}
