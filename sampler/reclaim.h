/* sampler/reclaim.h -- our thread's part of generations.h: what was left behind becomes [evicted],
 * and its memory is free again.
 *
 *   WATCH   until the present generation is as full as its kind says
 *   MOVE    sites with live blocks go over to it; no more than it has room for
 *   WAIT    nobody may look at the other generation any more: until every handler that could still
 *           do so has left
 *   FOLD    the counters of its rows are added to [evicted], the rows given back; then it is
 *           cleared
 *
 * Each call goes on for a step of RECLAIM_STEP_NS at most.
 *
 * Context   our thread. */
#ifndef SAMPLER_RECLAIM_H
#define SAMPLER_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/generations.h"

#define RECLAIM_STEP_NS 1000000

/* Goes on.  reading: somebody is between two rows and means to see all of one moment, so nothing
 * may be folded now.  moved is told of each row whose counters are now a part of
 * GENERATIONS_EVICTED (and which from now on is another's).  Returns the time (os_monotonic_ns) to
 * be called again. */
uint64_t reclaim_go_on(struct generations *g, bool reading,
		       void (*moved)(uint32_t row, void *arg), void *arg);

/* True if it stands still because somebody is reading. */
bool reclaim_waits_for_readers(const struct generations *g);

#endif
