/* sampler/maps_read.h -- what is mapped now: /proc/thread-self/maps, line by line.
 *
 * Context   one caller at a time: the constructor, then our thread.
 * Errors    -errno of what failed, -EINVAL for what is no line of maps, -E2BIG for one that is too
 *           long (a path has 4 KiB at most, and a byte of it takes four where it is escaped: there
 *           is none), or what f returned. */
#ifndef SAMPLER_MAPS_READ_H
#define SAMPLER_MAPS_READ_H

#include "sampler/compiler.h"
#include "sampler/maps.h"

/* Tells f each line, until it returns less than 0. */
MUST_CHECK int maps_read(int (*f)(const struct maps_line *line, void *arg), void *arg);

#endif
