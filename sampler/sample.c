#include "sampler/sample.h"

#include <assert.h>

#include "sampler/modules.h"

static_assert(sizeof(uintptr_t) == sizeof(frame_t), "frames are made in the place of addresses");

static enum unwind_mode mode;

void sample_init(enum unwind_mode how)
{
	mode = how;
}

/* Addresses to frames, in place, without our own: the doors above a malloc, the start of a
 * thread. */
static unsigned make_frames(uintptr_t *pc, unsigned depth)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < depth; i++)
		if (!modules_is_ours(pc[i]))
			pc[kept++] = modules_frame(pc[i]);
	return kept;
}

uint32_t sample_stack(struct capture *c, const struct unwind_stack_bounds *bounds,
		      struct stacks *table, enum count full)
{
	unsigned depth = 0, max = threads_depth();
	enum unwind_end end = unwind_stack(&c->regs, bounds, mode, &c->work, c->pc, max, &depth);
	uint32_t stack;

	depth = make_frames(c->pc, depth);
	if (end == UNWIND_TRUNCATED) {
		count_add(COUNT_STACK_TRUNCATED);
		if (depth == max)
			depth--;
		c->pc[depth++] = FRAME_TRUNCATED;
	}
	if (depth == 0)
		return 0;
	stack = stacks_add(table, (const frame_t *)c->pc, depth);
	if (stack == 0)
		count_add(full);
	return stack;
}
