/* httpd/ports.h -- where we listen, all addresses together, and giving way there.
 *
 * First comes a name by which a tool finds each process of ours without knowing ports: the abstract
 * unix socket pprofshim.UID.PID (address_discovery).  Then what PPROFSHIM_ADDR says.
 *
 * Children  most programs that a shell starts live for some milliseconds, and a port or a file for
 *           each would be litter.  So a child of a process of ours (forked, or started by one
 *           whose beacon it sees) has its name at once, the rest when it has lived until the
 *           first chores (server.c: 100 ms), and only if options say so.  What it does not get
 *           then is no error: it answers by its name.
 *
 * Context   our thread, unless said otherwise. */
#ifndef HTTPD_PORTS_H
#define HTTPD_PORTS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "httpd/address.h"
#include "httpd/listen.h"

/* The told addresses and our own. */
#define PORTS_MAX (ADDRESS_MAX + 1)
/* For poll: each address may have a socket for clients, and one for who wants its port. */
#define PORTS_POLL_MAX (2 * PORTS_MAX)

struct ports_options {
	unsigned tries;                 /* how many ports to try */
	bool     for_children;          /* they listen at the told addresses, too */
};

/* Listens everywhere, where it was before if it was; *list and *options stay. */
void ports_open(const struct address_list *list, const struct ports_options *options);
void ports_close(void);
/* Now and then: what is not open, or not ours any more (closefrom, dup2 onto the number), is opened
 * again; so is what has another name now. */
void ports_look(void);

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

/* Any thread of this process, when it ends: the files of our sockets go. */
void ports_end(void);

/* A fork child: nothing is open. */
void ports_after_fork(void);

#endif
