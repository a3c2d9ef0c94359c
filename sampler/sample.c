/* Most samples of a thread share the outer part of their stack with the one before.  What the last
 * one was, address by address, and which node each led to, is kept with the thread: sequential
 * memory, where looking up a node is two cache misses. */
#include "sampler/sample.h"

#include "sampler/modules.h"

static enum unwind_mode mode;

void sample_init(enum unwind_mode how)
{
	mode = how;
}

/* Addresses and nodes of the last stack, outermost first; behind the addresses of this one. */
static uintptr_t *seen_pc(struct capture *c)
{
	return c->pc + threads_depth();
}

static uint32_t *seen_node(struct capture *c)
{
	return (uint32_t *)(void *)(c->pc + 2 * threads_depth());
}

/* How many of the outermost frames are those of the last stack. */
static unsigned count_same(struct capture *c, unsigned depth, bool truncated)
{
	const uintptr_t *seen = seen_pc(c);
	unsigned n = 0, max = depth < c->seen ? depth : c->seen;
	uint64_t version = modules_version();

	if (c->seen_version != version || c->seen_truncated != truncated) {
		c->seen_version = version;
		c->seen_truncated = truncated;
		return 0;
	}
	while (n < max && seen[n] == c->pc[depth - 1 - n])
		n++;
	return n;
}

/* Without our own frames: the doors above a malloc, the start of a thread. */
static uint32_t add_frame(struct stacks *table, uint32_t parent, uintptr_t pc)
{
	return modules_is_ours(pc) ? parent : stacks_child(table, parent, modules_frame(pc));
}

/* 0: the table is full, or there were only frames of ours. */
static uint32_t intern(struct capture *c, unsigned depth, bool truncated, struct stacks *table,
		       enum count full)
{
	unsigned same = count_same(c, depth, truncated);
	uint32_t id = 0;

	c->seen = same;
	if (same > 0)
		id = seen_node(c)[same - 1];
	else if (truncated)
		id = stacks_child(table, 0, FRAME_TRUNCATED);
	for (unsigned i = same; i < depth; i++) {
		uintptr_t pc = c->pc[depth - 1 - i];
		uint32_t node = add_frame(table, id, pc);

		if (node == 0 && !modules_is_ours(pc)) {
			count_add(full);
			return 0;
		}
		id = node;
		seen_pc(c)[i] = pc;
		seen_node(c)[i] = id;
		c->seen = i + 1;
	}
	return id;
}

uint32_t sample_stack(struct capture *c, const struct unwind_stack_bounds *bounds,
		      struct stacks *table, enum count full)
{
	unsigned depth = 0, max = threads_depth();
	enum unwind_end end = unwind_stack(&c->regs, bounds, mode, &c->work, c->pc, max, &depth);

	if (end == UNWIND_TRUNCATED)
		count_add(COUNT_STACK_TRUNCATED);
	return intern(c, depth, end == UNWIND_TRUNCATED, table, full);
}
