/* httpd/yield.h -- a TCP port that another process wants for its host, and that we hold: a shell
 * under the library got the port, the server that it starts wants it.
 *
 * Who holds port N waits for word on the abstract unix socket "pprofshim-port-N"; like the port,
 * the name belongs to a network namespace.  Word counts if it comes from a process of our user, or
 * root.
 *
 * Context   our thread, with descriptors of its own: elsewhere the host would see them. */
#ifndef HTTPD_YIELD_H
#define HTTPD_YIELD_H

#include <stdbool.h>

#include "sampler/compiler.h"

/* A descriptor for poll, or -errno. */
MUST_CHECK int yield_open(unsigned port);

/* True if somebody who may has asked for the port.  Takes all words that have come. */
bool yield_is_asked(int fd);

/* Asks whoever holds the port.  False: nobody of ours does. */
bool yield_ask(unsigned port);

#endif
