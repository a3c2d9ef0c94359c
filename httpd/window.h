/* httpd/window.h -- a profile's counters between two moments: every delta of every profile.
 *
 * Rows that nobody needs give their memory back: the ground adds their counters to the row
 * [evicted], and the open windows their beginnings with them, so that what is read stays the
 * difference.  Not while a window is being read.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_WINDOW_H
#define HTTPD_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/arena.h"
#include "sampler/ground.h"

/* All zero: a closed one. */
struct window {
	const struct ground *ground;
	enum ground_profile  profile;
	uint32_t  end;                  /* rows at the beginning; later ones began at 0 */
	uint64_t *then;                 /* SITES_VALUES each; NULL: from the beginning of all */
	uint64_t  evicted[SITES_VALUES];        /* of then: of rows that were evicted since */
	uint32_t  now_end;
	uint64_t *now;                  /* instead of what is counted; NULL: that */
	uint64_t  now_ns;               /* when that was, if not at the end */
	uint64_t  min_age_s;            /* of window_old */
	const void *turn;               /* of since.h: only one open window has it; NULL none */
	uint64_t  begin_ns;             /* CLOCK_MONOTONIC */
	uint64_t  begin_real_ns;        /* CLOCK_REALTIME */
	unsigned  cpu_hz;               /* at least, while it is open; 0: it does not ask */
	unsigned  wall_hz;              /* of GROUND_WALL, until it is read */
	bool      is_open, is_read;
	struct window *next;            /* of the open ones */
};

/* Everything since the process began. */
void window_all(struct window *w, const struct ground *ground, enum ground_profile profile);
/* Everything from now on.  When the arena is full: as window_all. */
void window_open(struct window *w, struct arena *arena, const struct ground *ground,
		 enum ground_profile profile);
/* The same for GROUND_CPU; hz as above. */
void window_open_cpu(struct window *w, struct arena *arena, const struct ground *ground,
		     unsigned hz);
/* The same for GROUND_WALL, which is sampled for as long, and needs the ticks of GROUND_CPU. */
void window_open_wall(struct window *w, struct arena *arena, const struct ground *ground,
		      unsigned hz);
/* The heap's blocks that live now and have lived for so long, as if nothing else had ever been
 * allocated: what is in use of them is what was allocated.  It is being read from now on.  When the
 * arena is full: as window_all. */
void window_old(struct window *w, struct arena *arena, const struct ground *ground,
		uint64_t min_age_s);
/* What is counted from now on is put aside, too: all of it is of one moment, and stays at hand in
 * w->now.  It is being read from then on.  False: the arena is full. */
bool window_keep_now(struct window *w, struct arena *arena);
/* An open window: of these counters the first `count` from `allocated` on are a difference still,
 * and these less those from `freed` on are what there is at its end, as if the window had begun
 * with nothing in use. */
void window_absolute(struct window *w, unsigned allocated, unsigned freed, unsigned count);
/* True if an open window has this turn. */
bool window_has_turn(const void *turn);
/* Before the arena is reset, and at the latest with the request. */
void window_close(struct window *w);

/* From now until it is closed all rows and stacks stay as they are; they may be read with
 * job_breathe in between. */
void window_begin_reading(struct window *w);

/* A row's key and what it counted within the window up to now.  False: no such row. */
bool window_read(const struct window *w, uint32_t row, struct site_key *key,
		 int64_t value[SITES_VALUES]);

/* Lets the ground give memory back.  Returns when (os_monotonic_ns) to do so again. */
uint64_t window_reclaim(const struct ground *ground);

/* Goes on with looking at threads, if a window wants that.  Returns when (os_monotonic_ns) to do so
 * again. */
uint64_t window_wall(const struct ground *ground);

/* A fork child: none is open. */
void window_after_fork(void);

#endif
