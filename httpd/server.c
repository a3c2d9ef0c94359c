#include "httpd/server.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "httpd/conn.h"
#include "httpd/job.h"
#include "httpd/listen.h"
#include "sampler/os.h"

/* Chores: what nobody tells us about.  Often at first, because most of it comes early. */
#define CHORES_FIRST_NS 100000000ull
#define CHORES_MAX_NS   1000000000ull

static struct {
	const struct server_options *options;
	struct listener listener[ADDRESS_MAX];
	struct conn    *conn[SERVER_CONNS_MAX];
	unsigned        conns;
	uint64_t        chores_ns, interval_ns; /* when next, and then after how long */
	unsigned        chores_done, quiet_scans;
} server;

void server_after_fork(void)
{
	memset(&server, 0, sizeof(server));
}

/* --- listening ------------------------------------------------------------------------------- */

static void open_all(void)
{
	for (size_t i = 0; i < server.options->listen.count; i++)
		if (listen_open(&server.listener[i], &server.options->listen.address[i],
				server.options->port_tries) < 0)
			server.listener[i].fd = -1;
}

/* Sockets that are not ours any more (closefrom, dup2 onto the number) are opened again, at the
 * port they had if it is free. */
static void reopen_lost(void)
{
	for (size_t i = 0; i < server.options->listen.count; i++) {
		struct listener *l = &server.listener[i];
		struct address had = l->address;

		if (l->fd < 0 || os_is_ours(l->fd))
			continue;
		os_close(l->fd);
		if (listen_open(l, &had, server.options->port_tries) < 0)
			l->fd = -1;
	}
}

static void accept_from(struct listener *l)
{
	while (server.conns < SERVER_CONNS_MAX && os_is_ours(l->fd)) {
		int fd = os_accept(l->fd);
		struct conn *c;

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
	size_t n = 0;

	for (size_t i = 0; i < server.options->listen.count; i++)
		fds[n++] = (struct pollfd){
			.fd = server.conns < SERVER_CONNS_MAX ? server.listener[i].fd : -1,
			.events = POLLIN,
		};
	for (unsigned i = 0; i < server.conns; i++)
		fds[n++] = (struct pollfd){ .fd = conn_fd(server.conn[i]),
					    .events = conn_events(server.conn[i]) };
	return n;
}

static uint64_t next_due(void)
{
	uint64_t due = server.chores_ns;

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
 * scans only every 8th. */
static void do_chores(void)
{
	const struct ground *ground = server.options->view.ground;
	unsigned n = ++server.chores_done;
	bool now_and_then = n % 8 == 0 || (n & (n - 1)) == 0;

	reopen_lost();
	if (now_and_then)
		ground->find_threads();
	if (ground->wants_refresh() && (now_and_then || server.quiet_scans < 8)) {
		uint32_t before = ground->modules();

		ground->refresh();
		server.quiet_scans = ground->modules() != before ? 0 : server.quiet_scans + 1;
	}
	if (server.interval_ns < CHORES_MAX_NS)
		server.interval_ns *= 2;
	server.chores_ns = os_monotonic_ns() + server.interval_ns;
}

static void loop_once(void)
{
	struct pollfd fds[ADDRESS_MAX + SERVER_CONNS_MAX];
	size_t n = fill_poll(fds), listeners = server.options->listen.count;
	uint64_t now = os_monotonic_ns(), due = next_due();

	/* An error of poll leaves revents as they are: all 0, from fill_poll. */
	(void)!os_poll(fds, n, due > now ? due - now : 0);
	go_all(fds + listeners);
	for (size_t i = 0; i < listeners; i++)
		if (fds[i].revents != 0)
			accept_from(&server.listener[i]);
	if (os_monotonic_ns() >= server.chores_ns)
		do_chores();
}

void server_run(const struct server_options *options)
{
	server.options = options;
	open_all();
	server.interval_ns = CHORES_FIRST_NS;
	server.chores_ns = os_monotonic_ns() + CHORES_FIRST_NS;
	for (;;)
		loop_once();
}
