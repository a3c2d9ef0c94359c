/* httpd/strangers.h -- who comes to a unix socket and is neither of our user nor root.
 *
 * A socket's file keeps others out by its mode, an abstract name nobody: so the kernel is asked who
 * is there (SO_PEERCRED: as it was when it connected).  A stranger gets one answer, whatever it
 * asks, and none of our connections.  It is not closed on at once: a client that is still
 * writing would see a broken pipe, and no reason.
 *
 * Context   our thread.
 * When full STRANGERS_MAX wait to be closed; for one more the first goes. */
#ifndef HTTPD_STRANGERS_H
#define HTTPD_STRANGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "httpd/address.h"
#include "sampler/compiler.h"

#define STRANGERS_MAX    8
#define STRANGERS_WAIT_NS 1000000000ull

/* True if the client on fd, which came in at *local, is one; then fd has been taken over. */
MUST_CHECK bool strangers_take(int fd, const struct address *local, uint64_t now_ns);

/* When strangers_close has something to do; UINT64_MAX: nobody waits. */
uint64_t strangers_due_ns(void);
/* Closes on those that have had their time; UINT64_MAX: on all. */
void strangers_close(uint64_t now_ns);

/* A fork child: nobody is there. */
void strangers_after_fork(void);

#endif
