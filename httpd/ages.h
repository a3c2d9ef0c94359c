/* httpd/ages.h -- for how long the live blocks of each sample have lived.
 *
 * Context   our thread, inside a job; the window is being read. */
#ifndef HTTPD_AGES_H
#define HTTPD_AGES_H

#include "encode/arena.h"
#include "httpd/samples.h"

/* Of the sampled blocks; whole seconds, at most one too few. */
struct ages {
	uint32_t blocks;                /* 0: none lives */
	uint32_t youngest_s, median_s, oldest_s;
};

/* One for each sample.  NULL if the arena is full. */
const struct ages *ages_of(struct arena *arena, const struct window *w, const struct samples *s);

#endif
