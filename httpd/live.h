/* httpd/live.h -- the blocks of the heap that live now: a walk through all sampled ones.
 *
 * The host goes on meanwhile and is not disturbed: a block that stays is met once, one that comes
 * or goes may be missing.
 *
 * Context   our thread, inside a job: it gives way.  Before: window_begin_reading, so that rows of
 *           blocks stay what they are. */
#ifndef HTTPD_LIVE_H
#define HTTPD_LIVE_H

#include "sampler/ground.h"

struct live_walk {
	void (*each)(struct live_walk *walk, const struct heap_block *block, uint64_t age_s);
	uint64_t min_age_s;     /* younger ones are left out */
};

/* age_s: how long a block has lived for sure, at most a second less than it has. */
void live_each(const struct ground *ground, struct live_walk *walk);

#endif
