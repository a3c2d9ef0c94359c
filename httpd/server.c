#include "httpd/server.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "httpd/conn.h"
#include "httpd/conns.h"
#include "httpd/last.h"
#include "httpd/meter.h"
#include "httpd/ports.h"
#include "httpd/strangers.h"
#include "httpd/window.h"
#include "httpd/yield.h"
#include "sampler/os.h"

/* Chores: what nobody tells us about.  Often at first, because most of it comes early. */
#define CHORES_FIRST_NS 100000000ull
#define CHORES_MAX_NS   1000000000ull
#define COMPILE_PAUSE_NS 2000000ull
#define UNASKED_SCAN    16      /* chores */
/* What the kernel refused (poll: EINVAL, when the host lowers its limit of open files under what we
 * have) is tried again after this. */
#define PAUSE_NS 50000000ull

static struct {
	const struct server_options *options;
	uint64_t        chores_ns, interval_ns; /* when next, and then after how long */
	unsigned        chores_done, quiet_scans;
	bool            threads, maps;          /* are being looked for */
	bool            litter;                 /* of ended requests is there still */
	uint64_t        ticket;                 /* of that */
	uint32_t        modules;                /* so many were known before */
	uint64_t        reclaim_ns;             /* when the ground wants to give memory back */
	uint64_t        compile_ns;             /* when to go on with unwind tables */
	uint64_t        wall_ns;                /* when to look at threads */
	uint64_t        alone_ns;               /* not to be looked at before */
	int             bell;                   /* readable: look at leave; < 0 none */
	int             tid;                    /* of our thread */
	uint64_t        late_ns;                /* when threads are to get their timers */
	_Atomic bool    leave, called_off;
	_Atomic unsigned wish;                  /* a port that the host wants; 0 none */
	_Atomic bool    wish_heard;             /* its holder was asked */
} server;

void server_after_fork(void)
{
	memset(&server, 0, sizeof(server));
	meter_after_fork();
	conns_after_fork();
	ports_after_fork();
	strangers_after_fork();
}

static void accept_from(const struct listener *l)
{
	if (os_is_ours(l->fd))
		conns_accept(l, &server.options->view);
	else
		server.chores_ns = 0;   /* at once, or poll would find it again and again */
}

/* --- the loop -------------------------------------------------------------------------------- */

static uint64_t next_due(void)
{
	bool is_behind = server.threads || server.maps || server.litter;
	uint64_t due = is_behind ? 0 : server.chores_ns;
	uint64_t now = os_monotonic_ns(), conns_ns = conns_due_ns(now);

	/* Without a bell we have to look ourselves. */
	if (server.bell < 0 && now + PAUSE_NS < due)
		due = now + PAUSE_NS;
	if (server.reclaim_ns < due)
		due = server.reclaim_ns;
	if (server.compile_ns < due)
		due = server.compile_ns;
	if (server.late_ns < due)
		due = server.late_ns;
	if (server.wall_ns < due)
		due = server.wall_ns;
	if (strangers_due_ns() < due)
		due = strangers_due_ns();
	if (conns_ns < due)
		due = conns_ns;
	return due;
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

	ports_look();
	server.threads |= now_and_then;
	server.maps |= wanted || n % UNASKED_SCAN == 0;
	server.interval_ns *= 2;
	if (server.interval_ns > CHORES_MAX_NS)
		server.interval_ns = CHORES_MAX_NS;
	server.chores_ns = os_monotonic_ns() + server.interval_ns;
	server.reclaim_ns = 0;
	server.compile_ns = 0;
}

/* A step of what takes long where there are many threads or mappings. */
static void go_on_with_chores(void)
{
	const struct ground *ground = server.options->view.ground;

	if (server.threads) {
		server.threads = ground->find_threads(&server.ticket);
		if (!server.threads)
			server.ticket = 0;
	} else if (server.maps) {
		if (server.ticket == 0)
			server.modules = ground->modules();
		server.maps = ground->refresh(&server.ticket);
		if (server.maps)
			return;
		server.ticket = 0;
		server.quiet_scans = ground->modules() != server.modules ? 0
									 : server.quiet_scans + 1;
	}
}

/* Half of the time at most: on a machine with one CPU the host has the other half. */
static void compile(void)
{
	bool more = server.options->view.ground->compile();

	server.compile_ns = more ? os_monotonic_ns() + COMPILE_PAUSE_NS : UINT64_MAX;
	meter_step(METER_COMPILE);
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

/* Somebody else wants the port at this address. */
static void move(const struct address *address)
{
	conns_cut_at(address);
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
	struct pollfd fds[PORTS_POLL_MAX + CONNS_MAX + 1];
	size_t ports = ports_poll(fds, conns_may_accept());
	size_t n = ports + conns_poll(fds + ports), i;
	uint64_t now = os_monotonic_ns(), due = next_due();
	const struct listener *l;
	const struct address *a;

	fds[n++] = (struct pollfd){ .fd = server.bell, .events = POLLIN };
	/* An error of poll leaves revents as they are: all 0. */
	if (!wait_for(fds, n, due > now ? due - now : 0))
		return false;
	meter_begin_round();
	if (fds[n - 1].revents != 0)
		hear_bell();
	conns_go(fds + ports);
	for (i = 0; (l = ports_ready(fds, &i)) != NULL;)
		accept_from(l);
	for (i = 0; (a = ports_wanted(fds, &i)) != NULL;)
		move(a);
	strangers_close(os_monotonic_ns());
	meter_step(METER_SOCKETS);
	server.wall_ns = window_wall(server.options->view.ground);
	meter_step(METER_WALL);
	server.late_ns = server.options->view.ground->arm_late();
	meter_step(METER_BIRTHS);
	if (os_monotonic_ns() >= server.chores_ns)
		do_chores();
	go_on_with_chores();
	meter_step(METER_CHORES);
	server.litter = conn_sweep();
	meter_step(METER_MEMORY);
	if (os_monotonic_ns() >= server.reclaim_ns) {
		server.reclaim_ns = window_reclaim(server.options->view.ground);
		meter_step(METER_RECLAIM);
	}
	if (os_monotonic_ns() >= server.compile_ns)
		compile();
	meter_end_round();
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
	return conns_are_none();
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

static void ring_for_births(void)
{
	os_ring_bell(server.tid);
}

static void close_all(void)
{
	server.options->view.ground->listen_for_births(NULL);
	conns_cut_all();
	strangers_close(UINT64_MAX);
	while (conn_sweep())
		continue;
	ports_close();
	os_close(server.bell);
}

int server_run(const struct server_options *options)
{
	int status = 0;

	server.options = options;
	meter_begin();
	server.bell = os_open_bell();
	server.tid = os_gettid();
	if (server.bell >= 0)
		options->view.ground->listen_for_births(ring_for_births);
	ports_open(&options->listen, &options->ports);
	take_wish();            /* from before there was a bell */
	server.interval_ns = CHORES_FIRST_NS;
	server.chores_ns = os_monotonic_ns() + CHORES_FIRST_NS;
	while (!server.leave && !is_left_alone(&status) && loop_once())
		continue;
	close_all();
	options->view.ground->rest(true);
	meter_end();
	return status;
}
