/* httpd/ports.h -- where we listen, all addresses together, and giving way there.
 *
 * Context   our thread, unless said otherwise. */
#ifndef HTTPD_PORTS_H
#define HTTPD_PORTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "httpd/address.h"
#include "httpd/listen.h"

/* For poll: each address may have a socket for clients, and one for who wants its port. */
#define PORTS_POLL_MAX (2 * ADDRESS_MAX)

/* Listens everywhere, where it was before if it was; *list stays. */
void ports_open(const struct address_list *list, unsigned tries);
void ports_close(void);
/* What is not open, or not ours any more (closefrom, dup2 onto the number), is opened again. */
void ports_reopen_lost(void);

/* Writes what to wait for, and returns how many; the same number from each call. */
size_t ports_poll(struct pollfd *fds, bool accepts);
/* After poll: the next listener with somebody waiting, from *i on; NULL: no more. */
const struct listener *ports_ready(const struct pollfd *fds, size_t *i);
/* After poll: the next address, from *i on, whose port somebody else wants; NULL: no more.  Who has
 * closed its connections calls ports_move with it. */
const struct address *ports_wanted(const struct pollfd *fds, size_t *i);
void ports_move(const struct address *address);

/* Any thread: true if we hold this TCP port. */
bool ports_hold(unsigned port);
/* While nothing is open: who held this port takes the next one. */
void ports_give(unsigned port);

/* A fork child: nothing is open. */
void ports_after_fork(void);

#endif
