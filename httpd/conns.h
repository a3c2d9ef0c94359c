/* httpd/conns.h -- all connections together: who is let in, who gives way for whom, and whose turn
 * it is.
 *
 * Turns     requests are read first, then jobs do steps, then answers are written; the latter two
 *           for a few milliseconds each, so that sockets are looked at again soon.  Of jobs those
 *           go first that had the least of our time.
 * Owns      the connections, and each one's descriptor from accept on.
 * When full somebody gives way who has no request under way (conn_spare), or else who comes waits
 *           in the kernel's queue.
 * Errors    none come back: what accept was refused is tried again 50 ms later, and a connection
 *           that fails is closed.
 *
 * Context   our thread, unless said otherwise.  No function here waits. */
#ifndef HTTPD_CONNS_H
#define HTTPD_CONNS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpd/address.h"
#include "httpd/exchange.h"
#include "httpd/listen.h"

#define CONNS_MAX 256

/* True if somebody who came now could be let in. */
bool conns_may_accept(void);
/* Lets in who waits at this listener, which is open, some of them at a time.  *l and *desk stay as
 * long as the connections do. */
void conns_accept(const struct listener *l, const struct desk_view *desk);

/* Writes what to wait for, CONNS_MAX of it at most, and returns how many. */
size_t conns_poll(struct pollfd *fds);
/* After poll, with what conns_poll wrote: all do what is possible now, and who is done is closed.
 * Between the two nobody may have come or been cut. */
void conns_go(const struct pollfd *fds);
/* When to call conns_go next even if poll says nothing, or to ask conns_may_accept again;
 * CLOCK_MONOTONIC, UINT64_MAX: never. */
uint64_t conns_due_ns(uint64_t now_ns);

/* Cuts those that came in at *local, the very one that conns_accept was given; all of them. */
void conns_cut_at(const struct address *local);
void conns_cut_all(void);

/* Any thread: true while nobody is connected. */
bool conns_are_none(void);

/* A fork child: nobody is there. */
void conns_after_fork(void);

#endif
