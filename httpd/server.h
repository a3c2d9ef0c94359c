/* httpd/server.h -- the poll loop of our thread: sockets, connections, jobs, the slow scan. */
#ifndef HTTPD_SERVER_H
#define HTTPD_SERVER_H

#include <stdbool.h>

#include "httpd/address.h"
#include "httpd/exchange.h"

/* One connection more waits in the kernel's queue. */
#define SERVER_CONNS_MAX 256

struct server_options {
	struct address_list listen;
	unsigned            port_tries;
	struct desk_view    view;
};

/* Never returns. */
void server_run(const struct server_options *options) __attribute__((noreturn));

/* A fork child: nothing is open any more (see os_after_fork). */
void server_after_fork(void);

#endif
