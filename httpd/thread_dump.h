/* httpd/thread_dump.h -- what every thread of the process does at about one moment.
 *
 * Each is looked at once (sampler/looks.h); those that run are asked first, all of them, and are
 * looked at again until they have answered, THREAD_DUMP_WAIT_NS at most.  Threads may come and go
 * meanwhile: who came late or left early is not in it.
 *
 * Context   our thread, inside a job; memory of the request's arena.
 * When full the arena's failed flag, and what was seen until then. */
#ifndef HTTPD_THREAD_DUMP_H
#define HTTPD_THREAD_DUMP_H

#include "httpd/exchange.h"
#include "sampler/looks.h"

/* A tick of the kernel is 1 to 10 ms; more threads than CPUs have to take turns. */
#define THREAD_DUMP_WAIT_NS 100000000u

/* Stands for the stack of a thread that runs and did not answer, or cannot be seen. */
#define FRAME_NO_STACK ((frame_t)12)

struct thread_seen {
	struct look    look;
	const frame_t *frame;           /* leaf first, look.depth of them; FRAME_TRUNCATED behind
					 * them counts where the stack was cut */
	frame_t        door;            /* look.door; 0 none */
	uint64_t       still_ns;        /* it has not run for so long; 0: not known */
};

struct thread_dump {
	struct thread_seen *thread;     /* as the kernel lists them: the oldest first; ours is not
					 * among them */
	uint32_t            count;
	int32_t             own;        /* our thread */
	uint32_t           *by_tid;     /* indexes into thread[], the smallest tid first */
};

/* False if the arena is full. */
bool thread_dump_take(struct exchange *x, struct thread_dump *d);

/* NULL: no such thread was seen. */
const struct thread_seen *thread_dump_find(const struct thread_dump *d, int32_t tid);

/* Where our thread is: in the function that serves the dump. */
frame_t thread_dump_own_frame(const struct exchange *x);

#endif
