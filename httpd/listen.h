/* httpd/listen.h -- the sockets that clients come to.
 *
 * Context   our thread. */
#ifndef HTTPD_LISTEN_H
#define HTTPD_LISTEN_H

#include "httpd/address.h"

struct listener {
	int            fd;              /* -1: not open */
	struct address address;         /* where it really is: the port it got */
	struct address said;            /* the last one that the log named */
	int            refused;         /* the last error that the log named; 0: none since */
};

/* Binds to *wanted, or to the next port that is free, of at most `tries`; says where, or why not,
 * on the log, and nothing twice.  0 or -errno, then l->fd is -1. */
MUST_CHECK int listen_open(struct listener *l, const struct address *wanted, unsigned tries);

#endif
