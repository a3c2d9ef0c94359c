#include "httpd/conns.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "httpd/conn.h"
#include "httpd/meter.h"
#include "httpd/strangers.h"
#include "sampler/os.h"

/* What accept was refused (EMFILE) is tried again after this. */
#define PAUSE_NS 50000000ull
/* Of jobs' steps between two looks at the sockets. */
#define WORK_NS 3000000ull
/* From one socket in a turn: who connects without end holds up nobody. */
#define ACCEPTS 64

static struct {
	struct conn    *conn[CONNS_MAX];
	_Atomic unsigned count;
	unsigned        turn, writer;           /* of conn: whose turn was last, is next */
	uint64_t        accept_ns;              /* not to be tried before */
} conns;

void conns_after_fork(void)
{
	memset(&conns, 0, sizeof(conns));
	conn_after_fork();
}

bool conns_are_none(void)
{
	return conns.count == 0;
}

/* --- coming ---------------------------------------------------------------------------------- */

static void close_conn(struct conn *c)
{
	meter_connection(-1);
	conn_close(c);
}

/* Who can be spared most, so that nobody holds a place against others by doing nothing there. */
static unsigned find_spare(void)
{
	uint64_t now = os_monotonic_ns(), most = 0;
	unsigned found = conns.count;

	for (unsigned i = 0; i < conns.count; i++) {
		uint64_t spare = conn_spare(conns.conn[i], now);

		if (spare > most) {
			most = spare;
			found = i;
		}
	}
	return found;
}

static bool make_room(void)
{
	unsigned who = find_spare();

	if (who == conns.count)
		return false;
	close_conn(conns.conn[who]);
	conns.conn[who] = conns.conn[--conns.count];
	return true;
}

bool conns_may_accept(void)
{
	bool has_room = conns.count < CONNS_MAX || find_spare() < conns.count;

	return has_room && os_monotonic_ns() >= conns.accept_ns;
}

/* Where the process has no descriptor left, too, somebody may give way. */
static int accept_one(const struct listener *l)
{
	int fd = os_accept(l->fd);

	return fd == -EMFILE && make_room() ? os_accept(l->fd) : fd;
}

void conns_accept(const struct listener *l, const struct desk_view *desk)
{
	for (unsigned i = 0; i < ACCEPTS; i++) {
		int fd = accept_one(l);
		struct conn *c;

		if (fd < 0 && fd != -EAGAIN)
			conns.accept_ns = os_monotonic_ns() + PAUSE_NS;
		if (fd < 0)
			return;
		if (strangers_take(fd, &l->address, os_monotonic_ns()))
			continue;
		if (conns.count == CONNS_MAX && !make_room()) {
			os_close(fd);
			return;
		}
		c = conn_open(fd, &l->address, desk);
		if (c == NULL)
			continue;
		meter_connection(1);
		conns.conn[conns.count++] = c;
	}
}

/* --- turns ----------------------------------------------------------------------------------- */

size_t conns_poll(struct pollfd *fds)
{
	for (unsigned i = 0; i < conns.count; i++)
		fds[i] = (struct pollfd){ .fd = conn_fd(conns.conn[i]),
					  .events = conn_events(conns.conn[i]) };
	return conns.count;
}

uint64_t conns_due_ns(uint64_t now_ns)
{
	uint64_t due = conns.accept_ns > now_ns ? conns.accept_ns : UINT64_MAX;

	for (unsigned i = 0; i < conns.count; i++)
		if (conn_due_ns(conns.conn[i]) < due)
			due = conn_due_ns(conns.conn[i]);
	return due;
}

static void go(unsigned i, short revents, uint64_t now_ns)
{
	struct conn *c = conns.conn[i];
	enum meter_part part = conn_works(c) ? METER_JOBS : METER_SOCKETS;

	if (!conn_go(c, revents, now_ns)) {
		close_conn(c);
		conns.conn[i] = NULL;
	}
	meter_step(part);
}

static bool is_writing(const struct conn *c)
{
	return conn_events(c) == POLLOUT;
}

/* The job of a client that has said its last word goes on in its turn. */
static bool wants_reading(const struct conn *c, short revents, uint64_t now_ns)
{
	bool is_due = conn_due_ns(c) <= now_ns;

	if (is_writing(c))
		return false;
	if (conn_works(c))
		return (revents & ~POLLRDHUP) != 0 || (revents != 0 && !is_due);
	return revents != 0 || is_due;
}

/* Requests are read, and whoever is late or gone is closed. */
static void go_readers(const struct pollfd *fds, unsigned count)
{
	uint64_t now = os_monotonic_ns();

	for (unsigned i = 0; i < count; i++)
		if (wants_reading(conns.conn[i], fds[i].revents, now))
			go(i, fds[i].revents, now);
}

/* In turn, as long as there is time: poll finds the others again. */
static void go_writers(const struct pollfd *fds, unsigned count)
{
	uint64_t now = os_monotonic_ns(), end = now + WORK_NS;

	for (unsigned n = 0; n < count && now < end; n++) {
		unsigned i = (conns.writer + n) % count;

		if (conns.conn[i] == NULL || !is_writing(conns.conn[i]) ||
		    (fds[i].revents == 0 && conn_due_ns(conns.conn[i]) > now))
			continue;
		go(i, fds[i].revents, now);
		now = os_monotonic_ns();
		conns.writer = now < end ? 0 : i + 1;
	}
}

static bool wants_step(unsigned i, uint64_t now_ns)
{
	const struct conn *c = conns.conn[i];

	return c != NULL && conn_works(c) && conn_due_ns(c) <= now_ns;
}

/* Who had the least of our time, so that a small request waits for no large one; every other step
 * goes round, so that none waits for ever.  False: no job has anything to do now. */
static bool next_job(unsigned count, bool round, unsigned *next, uint64_t now_ns)
{
	unsigned found = count;

	for (unsigned n = 1; n <= count; n++) {
		unsigned i = (conns.turn + n) % count;

		if (!wants_step(i, now_ns))
			continue;
		if (found == count || conn_steps(conns.conn[i]) < conn_steps(conns.conn[found]))
			found = i;
		if (round)
			break;
	}
	if (round)
		conns.turn = found;
	*next = found;
	return found != count;
}

static void go_jobs(unsigned count)
{
	uint64_t now = os_monotonic_ns(), end = now + WORK_NS;
	unsigned i;

	for (bool round = false; now < end && next_job(count, round, &i, now); round = !round) {
		go(i, 0, now);
		now = os_monotonic_ns();
	}
}

void conns_go(const struct pollfd *fds)
{
	unsigned kept = 0, before = conns.count;

	go_readers(fds, before);
	go_jobs(before);
	go_writers(fds, before);
	for (unsigned i = 0; i < before; i++)
		if (conns.conn[i] != NULL)
			conns.conn[kept++] = conns.conn[i];
	conns.count = kept;
}

/* --- cut ------------------------------------------------------------------------------------- */

/* Connections are cut, not ended: they do not stay in TIME_WAIT, where they would be in the way of
 * who wants their port.  (Of those that had ended before, one may be: that is in the way only of a
 * socket without SO_REUSEADDR.) */
static void cut(struct conn *c)
{
	os_cut(conn_fd(c));
	close_conn(c);
}

void conns_cut_at(const struct address *local)
{
	unsigned kept = 0, before = conns.count;

	for (unsigned i = 0; i < before; i++)
		if (conn_local(conns.conn[i]) == local)
			cut(conns.conn[i]);
		else
			conns.conn[kept++] = conns.conn[i];
	conns.count = kept;
}

void conns_cut_all(void)
{
	while (conns.count > 0)
		cut(conns.conn[--conns.count]);
}
