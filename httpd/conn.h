/* httpd/conn.h -- one connection: reads a request, has it answered by a job, writes the answer, and
 * again.
 *
 * Context   our thread.  No function here waits. */
#ifndef HTTPD_CONN_H
#define HTTPD_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/exchange.h"

/* How long a client may take: between requests, for a request, between two bytes of an answer. */
#define CONN_IDLE_NS    (60ull * 1000000000u)
#define CONN_REQUEST_NS (10ull * 1000000000u)
#define CONN_WRITE_NS   (30ull * 1000000000u)

/* Memory of one request and its answer; beyond it the answer is an error. */
#define CONN_ARENA_BYTES (256ull << 20)
/* Body of a request. */
#define CONN_BODY_MAX (1u << 20)

struct conn;

/* Takes fd over; *local and *desk stay.  NULL (and fd closed) if there is no memory. */
struct conn *conn_open(int fd, const struct address *local, const struct desk_view *desk);
void conn_close(struct conn *c);

int conn_fd(const struct conn *c);
const struct address *conn_local(const struct conn *c);  /* as conn_open was given it */
short conn_events(const struct conn *c);        /* for poll */

/* Does what is possible now.  revents is what poll said (0: nothing).  False: it is over, close
 * it. */
bool conn_go(struct conn *c, short revents, uint64_t now_ns);

/* When to call conn_go next even if poll says nothing; CLOCK_MONOTONIC. */
uint64_t conn_due_ns(const struct conn *c);

#endif
