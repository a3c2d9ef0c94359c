/* httpd/thread_groups.h -- threads that do the same, as one row: goroutine, and its debug=1.
 *
 * The same are those whose stacks are shown alike and, with labels=thread, whose names are equal.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_THREAD_GROUPS_H
#define HTTPD_THREAD_GROUPS_H

#include "httpd/places.h"
#include "httpd/thread_dump.h"

struct thread_group {
	uint64_t       shown;           /* 64 random bits, the same for what is shown alike */
	const frame_t *frame;           /* leaf first; never empty */
	unsigned       depth;
	const char    *name;            /* NULL: nobody asked */
	int64_t        count;           /* negative: so many were before and are not any more */
};

struct thread_groups {
	struct places       *places;
	struct thread_group *group;     /* the largest count first */
	uint32_t             count;
	int64_t              threads;
	bool                 by_name;
};

/* What was seen now, less what was seen before (NULL: nothing).  Our own thread is one of them.
 * False if the arena is full. */
bool thread_groups_make(struct exchange *x, struct places *places, const struct thread_dump *now,
			const struct thread_dump *before, struct thread_groups *out);

#endif
