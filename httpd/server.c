#include "httpd/server.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "httpd/conn.h"
#include "httpd/job.h"
#include "httpd/last.h"
#include "httpd/ports.h"
#include "httpd/window.h"
#include "httpd/yield.h"
#include "sampler/os.h"

/* Chores: what nobody tells us about.  Often at first, because most of it comes early. */
#define CHORES_FIRST_NS 100000000ull
#define CHORES_MAX_NS   1000000000ull
#define COMPILE_PAUSE_NS 2000000ull
#define UNASKED_SCAN    16      /* chores */
/* What the kernel refused (accept: EMFILE; poll: EINVAL, when the host lowers its limit of open
 * files under what we have) is tried again after this. */
#define PAUSE_NS 50000000ull

static struct {
	const struct server_options *options;
	struct conn    *conn[SERVER_CONNS_MAX];
	_Atomic unsigned conns;
	uint64_t        chores_ns, interval_ns; /* when next, and then after how long */
	unsigned        chores_done, quiet_scans;
	uint64_t        reclaim_ns;             /* when the ground wants to give memory back */
	uint64_t        compile_ns;             /* when to go on with unwind tables */
	uint64_t        accept_ns, alone_ns;    /* not to be tried, not to be looked at before */
	int             bell;                   /* readable: look at leave; < 0 none */
	_Atomic bool    leave, called_off;
	_Atomic unsigned wish;                  /* a port that the host wants; 0 none */
	_Atomic bool    wish_heard;             /* its holder was asked */
} server;

void server_after_fork(void)
{
	memset(&server, 0, sizeof(server));
	ports_after_fork();
}

static void accept_from(const struct listener *l)
{
	if (!os_is_ours(l->fd)) {
		server.chores_ns = 0;   /* at once, or poll would find it again and again */
		return;
	}
	while (server.conns < SERVER_CONNS_MAX) {
		int fd = os_accept(l->fd);
		struct conn *c;

		if (fd < 0 && fd != -EAGAIN)
			server.accept_ns = os_monotonic_ns() + PAUSE_NS;
		if (fd < 0)
			return;
		c = conn_open(fd, &l->address, &server.options->view);
		if (c != NULL)
			server.conn[server.conns++] = c;
	}
}

/* --- the loop -------------------------------------------------------------------------------- */

static size_t fill_poll(struct pollfd *fds)
{
	bool accepts = server.conns < SERVER_CONNS_MAX && os_monotonic_ns() >= server.accept_ns;
	size_t n = ports_poll(fds, accepts);

	for (unsigned i = 0; i < server.conns; i++)
		fds[n++] = (struct pollfd){ .fd = conn_fd(server.conn[i]),
					    .events = conn_events(server.conn[i]) };
	fds[n++] = (struct pollfd){ .fd = server.bell, .events = POLLIN };
	return n;
}

static uint64_t next_due(void)
{
	uint64_t due = server.chores_ns, now = os_monotonic_ns();

	/* Without a bell we have to look ourselves. */
	if (server.bell < 0 && now + PAUSE_NS < due)
		due = now + PAUSE_NS;
	if (server.accept_ns > now && server.accept_ns < due)
		due = server.accept_ns;
	if (server.reclaim_ns < due)
		due = server.reclaim_ns;
	if (server.compile_ns < due)
		due = server.compile_ns;
	for (unsigned i = 0; i < server.conns; i++)
		if (conn_due_ns(server.conn[i]) < due)
			due = conn_due_ns(server.conn[i]);
	return due;
}

static void go_all(const struct pollfd *fds)
{
	unsigned kept = 0, before = server.conns;

	for (unsigned i = 0; i < before; i++) {
		struct conn *c = server.conn[i];

		if (conn_go(c, fds[i].revents, os_monotonic_ns()))
			server.conn[kept++] = c;
		else
			conn_close(c);
	}
	server.conns = kept;
}

/* Threads are looked for at the 1st, 2nd, 4th ... 8th and then every 8th time: nearly all come by
 * their door.  Code that no scan can name (a JIT's) would make us scan each time: after some
 * scans only every 8th.  Of what libc unloads by itself nobody tells us. */
static void do_chores(void)
{
	const struct ground *ground = server.options->view.ground;
	unsigned n = ++server.chores_done;
	bool now_and_then = n % 8 == 0 || (n & (n - 1)) == 0;
	bool wanted = ground->wants_refresh() && (now_and_then || server.quiet_scans < 8);

	ports_reopen_lost();
	if (now_and_then)
		ground->find_threads();
	if (wanted || n % UNASKED_SCAN == 0) {
		uint32_t before = ground->modules();

		ground->refresh();
		server.quiet_scans = ground->modules() != before ? 0 : server.quiet_scans + 1;
	}
	server.interval_ns *= 2;
	if (server.interval_ns > CHORES_MAX_NS)
		server.interval_ns = CHORES_MAX_NS;
	server.chores_ns = os_monotonic_ns() + server.interval_ns;
	server.reclaim_ns = 0;
	server.compile_ns = 0;
}

/* Half of the time at most: on a machine with one CPU the host has the other half. */
static void compile(void)
{
	bool more = server.options->view.ground->compile();

	server.compile_ns = more ? os_monotonic_ns() + COMPILE_PAUSE_NS : UINT64_MAX;
}

/* False: the kernel lets us neither wait nor sleep. */
static bool wait_for(struct pollfd *fds, size_t n, uint64_t ns)
{
	const struct ground *ground = server.options->view.ground;
	int ready = os_poll(fds, n, 0);

	/* What is there already needs no rest: at each end of one a tick may go astray. */
	if (ready == 0 && ns != 0) {
		ground->rest(true);
		ready = os_poll(fds, n, ns);
		ground->rest(false);
	}
	return ready >= 0 || ready == -EINTR || os_sleep(PAUSE_NS) == 0;
}

/* Connections are cut, not ended: they do not stay in TIME_WAIT, where they would be in the way of
 * who wants their port.  (Of those that had ended before, one may be: that is in the way only of a
 * socket without SO_REUSEADDR.) */
static void cut(struct conn *c)
{
	os_cut(conn_fd(c));
	conn_close(c);
}

/* Somebody else wants the port at this address. */
static void move(const struct address *address)
{
	unsigned kept = 0, before = server.conns;

	for (unsigned i = 0; i < before; i++)
		if (conn_local(server.conn[i]) == address)
			cut(server.conn[i]);
		else
			server.conn[kept++] = server.conn[i];
	server.conns = kept;
	ports_move(address);
}

static void take_wish(void)
{
	unsigned port = server.wish;

	if (port == 0)
		return;
	server.wish_heard = yield_ask(port);
	server.wish = 0;
}

static void hear_bell(void)
{
	if (os_still_bell(server.bell))
		server.leave = server.called_off = true;
	take_wish();
}

static bool loop_once(void)
{
	struct pollfd fds[PORTS_POLL_MAX + SERVER_CONNS_MAX + 1];
	size_t n = fill_poll(fds), i;
	uint64_t now = os_monotonic_ns(), due = next_due();
	const struct listener *l;
	const struct address *a;

	/* An error of poll leaves revents as they are: all 0, from fill_poll. */
	if (!wait_for(fds, n, due > now ? due - now : 0))
		return false;
	if (fds[n - 1].revents != 0)
		hear_bell();
	go_all(fds + 2 * server.options->listen.count);
	for (i = 0; (l = ports_ready(fds, &i)) != NULL;)
		accept_from(l);
	for (i = 0; (a = ports_wanted(fds, &i)) != NULL;)
		move(a);
	if (os_monotonic_ns() >= server.chores_ns)
		do_chores();
	if (os_monotonic_ns() >= server.reclaim_ns)
		server.reclaim_ns = window_reclaim(server.options->view.ground);
	if (os_monotonic_ns() >= server.compile_ns)
		compile();
	return true;
}

static bool is_left_alone(int *status)
{
	uint64_t now = os_monotonic_ns();

	if (now < server.alone_ns)
		return false;
	server.alone_ns = now + (server.options->is_pthread ? PAUSE_NS : CHORES_MAX_NS);
	return last_is_alone(status);
}

/* --- from outside ---------------------------------------------------------------------------- */

void server_stay(void)
{
	server.leave = server.called_off = false;
}

bool server_was_called_off(void)
{
	return server.called_off;
}

void server_leave(int tid)
{
	server.leave = true;
	os_ring_bell(tid);
}

bool server_is_idle(void)
{
	return server.conns == 0;
}

/* How long our thread may take to ask: it may be at a step of a job, or just be coming up. */
#define WISH_NS 100000000ull

bool server_asks_for(unsigned port, int tid)
{
	uint64_t end = os_monotonic_ns() + WISH_NS;
	unsigned no = 0;

	if (!atomic_compare_exchange_strong(&server.wish, &no, port))
		return false;
	os_ring_bell(tid);
	while (server.wish == port && os_monotonic_ns() < end)
		(void)!os_sleep(50000);
	no = port;
	return !atomic_compare_exchange_strong(&server.wish, &no, 0) && server.wish_heard;
}

static void close_all(void)
{
	while (server.conns > 0)
		cut(server.conn[--server.conns]);
	ports_close();
	os_close(server.bell);
}

int server_run(const struct server_options *options)
{
	int status = 0;

	server.options = options;
	server.bell = os_open_bell();
	ports_open(&options->listen, options->port_tries);
	take_wish();            /* from before there was a bell */
	server.interval_ns = CHORES_FIRST_NS;
	server.chores_ns = os_monotonic_ns() + CHORES_FIRST_NS;
	while (!server.leave && !is_left_alone(&status) && loop_once())
		continue;
	close_all();
	options->view.ground->rest(true);
	return status;
}
