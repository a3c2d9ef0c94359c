/* httpd/server.h -- the poll loop of our thread: sockets, connections, jobs, the slow scan. */
#ifndef HTTPD_SERVER_H
#define HTTPD_SERVER_H

#include <stdbool.h>

#include "httpd/address.h"
#include "httpd/exchange.h"
#include "httpd/ports.h"

struct server_options {
	struct address_list listen;
	struct ports_options ports;
	bool                is_pthread;         /* libc counts our thread among the host's */
	struct desk_view    view;
};

/* Until server_leave, until nothing else is left of the host, or until the kernel lets us neither
 * wait nor sleep; then nothing is open any more.  Run again, it takes the same addresses.  Returns
 * the status with which the host has ended, if it has. */
int server_run(const struct server_options *options);

/* Any thread: server_run shall return, within the few milliseconds of a step of a job.  By the
 * thread's id, which finds it in poll. */
void server_leave(int tid);
/* Before server_run, to undo server_leave. */
void server_stay(void);
/* True if server_run has returned because it was in the way of a library's set*id
 * (os_still_bell). */
bool server_was_called_off(void);

/* Any thread: true while nobody is connected. */
bool server_is_idle(void);
/* Any thread: true if another process of ours holds this TCP port and has been asked for it by our
 * thread, whose id is tid.  Waits for our thread, 100 ms at most. */
bool server_asks_for(unsigned port, int tid);

/* A fork child: nothing is open any more (see os_after_fork). */
void server_after_fork(void);

#endif
