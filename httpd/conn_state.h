/* httpd/conn_state.h -- a connection from inside: conn.c reads its requests, conn_work.c has them
 * answered.
 *
 * Context   our thread. */
#ifndef HTTPD_CONN_STATE_H
#define HTTPD_CONN_STATE_H

#include "httpd/answer.h"
#include "httpd/conn.h"
#include "httpd/guard.h"
#include "httpd/request_body.h"

enum conn_state { READ_HEAD, READ_BODY, WORK, WRITE, LINGER };

#define CONN_READ_BYTES 4096

struct conn {
	int                 fd;
	enum conn_state     state;
	uint64_t            began_ns;           /* the body, or the answer */
	uint64_t            moved_ns;           /* when it last did something */
	uint64_t            deadline_ns;
	bool                close_after, linger_after;
	bool                was_let_in;         /* once at least */
	bool                sleeps;             /* counted as one that does */
	unsigned            steps;              /* of the job */
	const struct desk_view *desk;           /* x.desk, but for what its route makes of it */
	struct exchange     x;
	struct job         *job;
	struct request_body body;
	char               *data;               /* the body as far as it came; NULL none */
	size_t              data_len, data_room, data_most;
	size_t              head_len;           /* of the request, at the start of in */
	size_t              have;               /* bytes in in */
	char                in[REQUEST_HEAD_MAX + 2 * CONN_READ_BYTES];
	char                path[REQUEST_HEAD_MAX];
	struct answer       answer;
};

/* An arena's memory, or a body's, counted with that of all other connections. */
void *conn_map(size_t bytes);
void *conn_grow(void *p, size_t bytes, size_t to);
void conn_unmap(void *p, size_t bytes);

/* The request is whole. */
void conn_begin_work(struct conn *c, uint64_t now_ns);
void conn_go_work(struct conn *c, uint64_t now_ns);

/* Instead of it: what was not read whole gets an answer that no route has made, as Go's server
 * words it, and what the guard said no to one of its own; then the connection ends. */
void conn_refuse(struct conn *c, int status, const char *reason, uint64_t now_ns);
void conn_turn_away(struct conn *c, const struct guard_verdict *verdict, uint64_t now_ns);

/* False: the connection is over. */
MUST_CHECK bool conn_go_write(struct conn *c, uint64_t now_ns);

void conn_end_request(struct conn *c);

/* Until when a client may take for so many bytes, if it may take until ns for none. */
static inline uint64_t conn_with_rate(uint64_t ns, uint64_t bytes)
{
	return ns + bytes * (1000000000u / CONN_RATE);
}

#endif
