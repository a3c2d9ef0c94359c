/* sampler/sample.h -- the way of a sample: registers -> frames -> stack id.
 *
 * Context   any thread, inside handlers and inside malloc. */
#ifndef SAMPLER_SAMPLE_H
#define SAMPLER_SAMPLE_H

#include <stdint.h>

#include "sampler/count.h"
#include "sampler/stacks.h"
#include "sampler/threads.h"

/* The outermost frame of a stack that was cut: neither a pc nor code. */
#define FRAME_TRUNCATED ((frame_t)1)

/* How stacks are walked; once, at start. */
void sample_init(enum unwind_mode mode);

/* Walks from c->regs (used up), leaves out this library's own frames and puts the rest into
 * table.  Returns the stack's id; 0 if the table is full, which adds to the count `full`. */
uint32_t sample_stack(struct capture *c, const struct unwind_stack_bounds *bounds,
		      struct stacks *table, enum count full);

#endif
