/* Most samples of a thread share the outer part of their stack with the one before.  What the last
 * one was, address by address, and which node each led to, is kept with the thread: sequential
 * memory, where looking up a node is two cache misses. */
#include "sampler/sample.h"

#include "sampler/modules.h"
#include "sampler/unwind_libunwind.h"

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

static struct unwind_memo_frame *memo_frames(struct capture *c)
{
	return (struct unwind_memo_frame *)(void *)(c->pc + 2 * threads_depth());
}

static uint32_t *seen_node(struct capture *c)
{
	return (uint32_t *)(void *)(memo_frames(c) + threads_depth());
}

/* One walk on its way into a table. */
struct walk {
	struct generations *table;
	uint64_t            now;        /* generations_now */
	unsigned            depth;
	bool                truncated;
};

/* How many of the outermost frames are those of the last stack. */
static unsigned count_same(struct capture *c, const struct walk *w)
{
	const uintptr_t *seen = seen_pc(c);
	unsigned n = 0, max = w->depth < c->seen ? w->depth : c->seen;
	uint64_t version = modules_version(), generation = generations_number(w->now);

	if (c->seen_version != version || c->seen_truncated != w->truncated ||
	    c->seen_generation != generation) {
		c->seen_version = version;
		c->seen_truncated = w->truncated;
		c->seen_generation = generation;
		return 0;
	}
	while (n < max && seen[n] == c->pc[w->depth - 1 - n])
		n++;
	return n;
}

/* Without our own frames: the doors above a malloc, the start of a thread. */
static uint32_t add_frame(struct stacks *stacks, uint32_t parent, uintptr_t pc)
{
	return modules_is_ours(pc) ? parent : stacks_child(stacks, parent, modules_frame(pc));
}

/* False: the table is full.  *id 0: there were only frames of ours. */
static bool intern(struct capture *c, const struct walk *w, uint32_t *id)
{
	struct stacks *stacks = &generations_at(w->table, w->now)->stacks;
	unsigned same = count_same(c, w);

	*id = 0;
	c->seen = same;
	if (same > 0)
		*id = seen_node(c)[same - 1];
	else if (w->truncated && (*id = stacks_child(stacks, 0, FRAME_TRUNCATED)) == 0)
		return false;
	for (unsigned i = same; i < w->depth; i++) {
		uintptr_t pc = c->pc[w->depth - 1 - i];

		*id = add_frame(stacks, *id, pc);
		if (*id == 0 && !modules_is_ours(pc))
			return false;
		seen_pc(c)[i] = pc;
		seen_node(c)[i] = *id;
		c->seen = i + 1;
	}
	return true;
}

static uint32_t row_of(const struct walk *w, const struct site_key *key)
{
	const struct generations_kind *kind = w->table->kind;

	return kind->row != NULL ? kind->row(w->table, w->now, key)
				 : generations_row(w->table, w->now, key);
}

/* Twice at most: the generation that was full is not the present one any more. */
static HOT NOINLINE uint32_t find_row(struct capture *c, struct walk *w, struct site_key *key,
			 const struct sample_losses *losses)
{
	bool again = true;

	for (;;) {
		uint32_t id, row = 0;
		bool fits;

		w->now = generations_now(w->table);
		fits = intern(c, w, &id);
		if (fits && id == 0)
			return 0;
		key->stack = generations_stack(w->now, id);
		if (fits && (row = row_of(w, key)) != 0)
			return row;
		if (!again || !generations_next(w->table, w->now)) {
			count_add(fits ? losses->no_site : losses->no_stack);
			return GENERATIONS_NO_ROOM;
		}
		again = false;
	}
}

static HOT NOINLINE enum unwind_end walk_stack(struct capture *c,
					   const struct unwind_stack_bounds *bounds,
					   unsigned *depth)
{
	unsigned max = threads_depth();

	if (mode == UNWIND_LIBUNWIND)
		return unwind_libunwind(&c->regs, bounds, threads_reserved(c), c->pc, max, depth);
	c->memo.frame = memo_frames(c);
	c->memo.max = max;
	unwind_memo_know(&c->memo, modules_version());
	return unwind_stack(&c->regs, bounds, mode, &c->work, &c->memo, c->pc, max, depth);
}

HOT uint32_t sample_row(struct capture *c, const struct unwind_stack_bounds *bounds,
		    struct generations *table, struct site_key *key,
		    const struct sample_losses *losses)
{
	struct walk w = { .table = table };

	w.truncated = walk_stack(c, bounds, &w.depth) == UNWIND_TRUNCATED;
	if (w.truncated)
		count_add(COUNT_STACK_TRUNCATED);
	return find_row(c, &w, key, losses);
}
