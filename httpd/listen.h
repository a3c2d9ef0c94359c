/* httpd/listen.h -- the sockets that clients come to.
 *
 * Files     a unix socket's file is its owner's alone (0600) from the first moment.  The file of
 *           one whose server is gone is replaced; one that lives, a symbolic link and any other
 *           file stay what they are, and nobody is followed.  Two of us that find the same one
 *           take turns, by a lock on its directory (flock(2)).
 *
 * Context   our thread. */
#ifndef HTTPD_LISTEN_H
#define HTTPD_LISTEN_H

#include <stdint.h>

#include "httpd/address.h"
#include "sampler/log.h"

struct listener {
	int            fd;              /* -1: not open */
	unsigned       waited;          /* how often another of us had the directory */
	struct address address;         /* where it really is: the port it got */
	struct address said;            /* the last one that the log named */
	int            refused;         /* the last error that the log named; 0: none since */
	uint64_t       dev, ino;        /* of its file */
};

struct listen_options {
	unsigned       tries;           /* how many ports to try */
	bool           v6_only;         /* [::] is not 0.0.0.0, too */
	enum log_level said_at;         /* where it listens; LOG_DEBUG and higher: nobody asked */
	enum log_level refused_at;      /* why not */
	const char    *instead;         /* behind that; "" for nothing */
};

/* Binds to *wanted, or to the next port that is free, of at most `tries`; says where, or why not,
 * on the log, and nothing twice.  0 or -errno, then l->fd is -1.  -EAGAIN: another of us is just
 * replacing that file; not said. */
MUST_CHECK int listen_open(struct listener *l, const struct address *wanted,
			   const struct listen_options *options);

/* Its file goes first, so that nobody ever finds it stale. */
void listen_close(struct listener *l);

/* Any thread of the process, when it ends: the file goes, if it is still ours. */
void listen_unlink(const struct listener *l);

/* Shows other processes of ours that this one is: a descriptor, never to be read; or -errno. */
MUST_CHECK int listen_beacon(unsigned uid, int pid);
/* True if a process of ours has lit one.  It does not notice. */
bool listen_sees_beacon(unsigned uid, int pid);
/* False if nobody has the name of address_discovery for these; it may be woken. */
bool listen_finds(unsigned uid, int pid);

#endif
