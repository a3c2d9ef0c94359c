/* httpd/window.h -- a profile's counters between two moments: every delta of every profile.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_WINDOW_H
#define HTTPD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/arena.h"
#include "sampler/ground.h"

struct window {
	const struct ground *ground;
	enum ground_profile  profile;
	uint32_t  end;                  /* rows at the beginning; later ones began at 0 */
	uint64_t *then;                 /* SITES_VALUES each; NULL: from the beginning of all */
	uint64_t  begin_ns;             /* CLOCK_MONOTONIC */
	uint64_t  begin_real_ns;        /* CLOCK_REALTIME */
};

/* Everything since the process began. */
void window_all(struct window *w, const struct ground *ground, enum ground_profile profile);
/* Everything from now on.  When the arena is full: as window_all. */
void window_open(struct window *w, struct arena *arena, const struct ground *ground,
		 enum ground_profile profile);

/* A row's key and what it counted within the window up to now.  False: no such row. */
bool window_read(const struct window *w, uint32_t row, struct site_key *key,
		 int64_t value[SITES_VALUES]);

#endif
