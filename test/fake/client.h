/* test/fake/client.h -- a client on the other end of a connection of the desk's, and the part of
 * the desk's loop that serves this one connection.  The clock is the test's: time passes when it
 * says so. */
#ifndef TEST_FAKE_CLIENT_H
#define TEST_FAKE_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake/made_program.h"
#include "httpd/conn.h"
#include "sampler/os.h"

#define CLIENT_ROOM (8u << 20)

static struct {
	struct desk_view    desk;
	struct address_list local;
	struct conn        *conn;       /* NULL: the desk has closed it */
	int                 fd;         /* the client's end; -1: closed */
	bool                ended;      /* the desk says no more, but listens still */
	uint64_t            later_ns;   /* what the clock is ahead */
	char               *got;        /* all that came, with a 0 behind it */
	size_t              len;
	size_t              at;         /* of it, what next_answer has taken */
} client = { .desk = { .ground = &made_ground, .names = true }, .fd = -1 };

static inline uint64_t client_now(void)
{
	return os_monotonic_ns() + client.later_ns;
}

static inline void client_open(void)
{
	int ends[2];

	if (address_parse("127.0.0.1:6060", 14, 1, &client.local) != 1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
		abort();
	if (client.got == NULL)
		client.got = malloc(CLIENT_ROOM);
	client.got[0] = '\0';
	client.len = client.at = 0;
	client.later_ns = 0;
	client.ended = false;
	client.fd = ends[1];
	client.conn = conn_open(os_high_fd(ends[0]), &client.local.address[0], &client.desk);
}

static inline void client_close(void)
{
	if (client.fd >= 0)
		close(client.fd);
	client.fd = -1;
}

static inline void client_end(void)
{
	if (client.conn != NULL)
		conn_close(client.conn);
	client.conn = NULL;
	client_close();
}

/* One turn of the loop.  True: there may be more to do at once. */
static inline bool client_turn(void)
{
	struct pollfd fd = { conn_fd(client.conn), conn_events(client.conn), 0 };
	uint64_t due = conn_due_ns(client.conn), now = client_now();

	if (poll(&fd, 1, 0) < 0)
		abort();
	if (fd.revents == 0 && due > now)
		return false;
	if (conn_go(client.conn, fd.revents, now))
		return true;
	conn_close(client.conn);
	client.conn = NULL;
	return false;
}

/* As long as the desk has something to do for this connection.  True: it is open still. */
static inline bool client_serve(void)
{
	while (client.conn != NULL && client_turn())
		;
	return client.conn != NULL;
}

/* Reads at most so many bytes of what is there. */
static inline size_t client_read(size_t most)
{
	size_t room = CLIENT_ROOM - 1 - client.len;
	ssize_t n = read(client.fd, client.got + client.len, most < room ? most : room);

	client.ended |= n == 0;
	if (n > 0)
		client.len += (size_t)n;
	client.got[client.len] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Serves and reads until nothing happens any more.  True: it is open still. */
static inline bool client_receive(void)
{
	do
		client_serve();
	while (client_read(CLIENT_ROOM) > 0);
	return client.conn != NULL && !client.ended;
}

static inline void client_send(const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = write(client.fd, bytes, n);

		if (sent < 0 && (errno != EAGAIN || !client_serve()))
			return;         /* the desk does not want any more of it */
		bytes += sent > 0 ? sent : 0;
		n -= sent > 0 ? (size_t)sent : 0;
	}
}

/* Sends it all at once, and takes what comes. */
static inline bool client_ask(const char *request)
{
	client_send(request, strlen(request));
	return client_receive();
}

/* --- answers --------------------------------------------------------------------------------- */

struct client_answer {
	int         status;
	char        head[16384];        /* status line and fields */
	const char *body;               /* into client.got */
	size_t      len;
};

/* The next whole answer of what came.  False: there is none, or it makes no sense. */
static inline bool next_answer(struct client_answer *out, bool without_body)
{
	const char *start = client.got + client.at, *end = strstr(start, "\r\n\r\n");
	const char *length;

	memset(out, 0, sizeof(*out));
	if (end == NULL || (size_t)(end - start) >= sizeof(out->head) - 4 ||
	    sscanf(start, "HTTP/1.%*1[01] %d ", &out->status) != 1)
		return false;
	memcpy(out->head, start, (size_t)(end - start) + 2);
	out->body = end + 4;
	length = strstr(out->head, "\r\nContent-Length: ");
	if (length != NULL && !without_body)
		out->len = strtoull(length + 18, NULL, 10);
	if (out->len > client.len - (size_t)(out->body - client.got))
		return false;
	client.at = (size_t)(out->body - client.got) + out->len;
	return true;
}

static inline bool has_field(const struct client_answer *a, const char *field)
{
	char line[512];

	snprintf(line, sizeof(line), "\r\n%s\r\n", field);
	return strstr(a->head, line) != NULL;
}

static inline bool nothing_more_came(void)
{
	return client.at == client.len;
}

#endif
