/* httpd/samples.h -- the sites of a window, put together as a client wants them: sites that differ
 * only in what was not asked for become one sample.
 *
 * Context   our thread, inside a job; memory of the request's arena. */
#ifndef HTTPD_SAMPLES_H
#define HTTPD_SAMPLES_H

#include "httpd/window.h"

/* What keeps samples apart, besides their stack. */
enum {
	SAMPLES_BY_STACK = 0, SAMPLES_BY_SIZE = 1, SAMPLES_BY_THREAD = 2,
	SAMPLES_BY_STATE = 4            /* key.labels, of GROUND_WALL */
};

struct sample {
	struct site_key key;            /* parts that were not asked for are 0 */
	int64_t         value[SITES_VALUES];
};

struct samples {
	struct sample *sample;
	uint32_t       count;
	uint32_t      *of_row;          /* by row below rows: its sample + 1; 0 none */
	uint32_t       rows;
};

/* All samples of the window with any counter that is not 0, in the order in which their first sites
 * were met; the window is being read from now on.  When the arena is full: none, and its failed
 * flag. */
void samples_collect(struct samples *out, struct arena *arena, struct window *w, int by);

/* Samples that a client could not tell apart become one.  shown: a number of 64 random bits that
 * two stacks have in common if they are shown alike.  When the arena is full: nothing is merged. */
void samples_merge(struct samples *s, struct arena *arena,
		   uint64_t (*shown)(void *with, uint32_t stack), void *with);

/* The greatest first; of equal ones that which was first.  of_row is of no use any more.  When the
 * arena is full: as they were. */
void samples_sort_by(struct samples *s, struct arena *arena,
		     int64_t (*key)(const void *with, const struct sample *s), const void *with);
/* By one of the counters. */
void samples_sort(struct samples *s, struct arena *arena, unsigned value);

#endif
