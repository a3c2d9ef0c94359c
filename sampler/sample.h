/* sampler/sample.h -- the way of a sample: registers -> frames -> stack id -> row.
 *
 * Context   any thread, inside handlers and inside malloc. */
#ifndef SAMPLER_SAMPLE_H
#define SAMPLER_SAMPLE_H

#include <stdint.h>

#include "sampler/count.h"
#include "sampler/generations.h"
#include "sampler/threads.h"

/* The outermost frame of a stack that was cut: neither a pc nor code. */
#define FRAME_TRUNCATED ((frame_t)1)

/* How stacks are walked; once, at start. */
void sample_init(enum unwind_mode mode);

/* What is counted for a sample that is a part of [evicted] from the start. */
struct sample_losses { enum count no_stack, no_site; };

/* Before sample_row, if other things are done in between: fetches what the walk will need. */
void sample_look_ahead(struct capture *c, const struct unwind_stack_bounds *bounds);

/* Walks from c->regs (used up), leaves out this library's own frames, puts the rest into the table
 * and finds the row to count on: that of key, whose stack this is, or GENERATIONS_NO_ROOM.  0:
 * there were only frames of our own.  Between threads_begin and threads_end. */
uint32_t sample_row(struct capture *c, const struct unwind_stack_bounds *bounds,
		    struct generations *table, struct site_key *key,
		    const struct sample_losses *losses);

#endif
