/* sampler/maps_read.h -- what is mapped now: /proc/thread-self/maps, line by line.
 *
 * Context   the constructor, then our thread.  A reader is its owner's, who goes on when he likes:
 *           the kernel says what there is behind the last line.
 * Errors    -errno of what failed, -EINVAL for what is no line of maps, -E2BIG for one that is too
 *           long (a path has 4 KiB at most, and a byte of it takes four where it is escaped: there
 *           is none), or what f returned. */
#ifndef SAMPLER_MAPS_READ_H
#define SAMPLER_MAPS_READ_H

#include <stddef.h>

#include "sampler/compiler.h"
#include "sampler/maps.h"

struct maps_reader {
	int    fd;
	size_t have;
	char   buf[20000];
};

MUST_CHECK int maps_reader_open(struct maps_reader *m);
/* Tells f each line of as much as the kernel gives at once, some 50 lines.  Returns 1 if there may
 * be more, 0 at its end.  A line for which f returned less than 0 comes again. */
MUST_CHECK int maps_reader_step(struct maps_reader *m,
				int (*f)(const struct maps_line *line, void *arg), void *arg);
void maps_reader_close(struct maps_reader *m);

#endif
