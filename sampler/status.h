/* sampler/status.h -- what the kernel says of a thread of this process (proc(5), status).
 *
 * Context   the constructor, then our thread: one buffer.  Another thread than the calling one: our
 *           thread only. */
#ifndef SAMPLER_STATUS_H
#define SAMPLER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct status {
	char     state;                 /* 'R' runs or could */
	uint64_t pending, blocked;      /* signals, the first in bit 0; pending: for it alone */
	uint64_t queued, queue_max;     /* signals and timers of this user, RLIMIT_SIGPENDING */
};

/* tid 0: the calling thread.  False: it is gone, or nothing can be read. */
bool status_read(int tid, struct status *s);

/* The same from a text; for status_read and tests. */
bool status_parse(const char *text, unsigned long len, struct status *s);

#endif
