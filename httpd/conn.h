/* httpd/conn.h -- one connection: reads a request, has it answered by a job, writes the answer, and
 * again.
 *
 * Who may ask is judged before the body is read.  A request that is refused before it was read
 * whole ends the connection: what the client still sends is read and dropped for a moment, or the
 * kernel would answer it by a reset, which can overtake our answer.
 *
 * Context   our thread.  No function here waits.
 * Memory    the connection's own, some 28 KiB; a request's arena, CONN_ARENA_BYTES at most; its
 *           body, as it comes: who only says that it will be large has taken nothing.  All of
 *           them together CONN_ALL_BYTES. */
#ifndef HTTPD_CONN_H
#define HTTPD_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/exchange.h"

/* How long a client may take: between requests, for the head of a request, for its body, for an
 * answer.  Bodies and answers have a second more for every CONN_RATE bytes of them that came or
 * went. */
#define CONN_IDLE_NS    (60ull * 1000000000u)
#define CONN_REQUEST_NS (10ull * 1000000000u)
#define CONN_WRITE_NS   (30ull * 1000000000u)
#define CONN_RATE       (16u << 10)
/* For what a client sends that was refused, and how much of it (as Go's server). */
#define CONN_LINGER_NS    1000000000ull
#define CONN_LINGER_BYTES (256u << 10)

/* Memory of one request and its answer, and of all of them; beyond it the answer is an error. */
#define CONN_ARENA_BYTES (256ull << 20)
#define CONN_ALL_BYTES   (384ull << 20)
/* Body of a request: some 400,000 addresses. */
#define CONN_BODY_MAX (8u << 20)
/* So many requests may wait for their time to come (seconds=N); others are told to come later. */
#define CONN_SLEEPERS_MAX 208

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

/* True while a job of its works: conn_go gives it a step.  How many it has had. */
bool conn_works(const struct conn *c);
unsigned conn_steps(const struct conn *c);

/* Gives memory of ended requests back, some MiB of it.  True: there is more. */
bool conn_sweep(void);

/* When to call conn_go next even if poll says nothing; CLOCK_MONOTONIC. */
uint64_t conn_due_ns(const struct conn *c);

/* How well others could do with its place: 0, not at all, it works; else the greater the sooner it
 * may be closed for a new one.  First what was refused, then who has never been let in, by how long
 * they are here; then who does not read, then who has no request, by how long ago they moved. */
uint64_t conn_spare(const struct conn *c, uint64_t now_ns);

/* A fork child: there are none. */
void conn_after_fork(void);

#endif
