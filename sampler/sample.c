/* Most stacks were met before, all of them (wholes.h).  Of a new one the outer part is mostly that
 * of the thread's last new one.  What that was, address by address, and which node each led to, is
 * kept with the thread: sequential memory, where looking up a node is two cache misses. */
#include "sampler/sample.h"

#include <assert.h>

#include "sampler/modules.h"
#include "sampler/unwind_ahead.h"
#include "sampler/unwind_libunwind.h"

static enum unwind_mode mode;

void sample_init(enum unwind_mode how)
{
	mode = how;
}

/* One walk on its way into a table. */
struct walk {
	struct generations *table;
	uint64_t            now;        /* generations_now */
	uint64_t            version;    /* modules_version, before its frames are asked for */
	unsigned            depth;
	bool                truncated;
};

/* How many of the outermost frames are those of the last stack that was new. */
static unsigned count_same(struct capture *c, const struct walk *w)
{
	const uintptr_t *seen = c->seen_pc;
	unsigned n = 0, max = w->depth < c->seen ? w->depth : c->seen;
	uint64_t generation = generations_number(w->now) + (uintptr_t)w->table;

	if (c->seen_version != w->version || c->seen_truncated != w->truncated ||
	    c->seen_generation != generation) {
		c->seen_version = w->version;
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
static NOINLINE bool intern_frames(struct capture *c, const struct walk *w, struct stacks *stacks,
				   uint32_t *id)
{
	unsigned same = count_same(c, w);

	*id = 0;
	c->seen = same;
	if (same > 0)
		*id = c->seen_node[same - 1];
	else if (w->truncated && (*id = stacks_child(stacks, 0, FRAME_TRUNCATED)) == 0)
		return false;
	for (unsigned i = same; i < w->depth; i++) {
		uintptr_t pc = c->pc[w->depth - 1 - i];

		*id = add_frame(stacks, *id, pc);
		if (*id == 0 && !modules_is_ours(pc))
			return false;
		c->seen_pc[i] = pc;
		c->seen_node[i] = *id;
		c->seen = i + 1;
	}
	return true;
}

/* The same for *is.  Of what decides which stack the addresses are, all goes into the hash: so what
 * stands there of another generation, or from before a dlclose, is never met. */
static bool intern(struct capture *c, const struct walk *w, struct whole *is)
{
	struct stacks *stacks = &generations_at(w->table, w->now)->stacks;
	uint64_t world = levels_hash(w->version) ^
			 (generations_number(w->now) << 1 | (w->truncated ? 1 : 0));
	uint64_t hash = wholes_hash(world, c->pc, w->depth);

	*is = wholes_find(&stacks->wholes, hash);
	if (likely(is->id != 0))
		return true;
	if (!intern_frames(c, w, stacks, &is->id))
		return false;
	if (is->id == 0)
		return true;
	is->stack_hash = stacks_hash(stacks, is->id);
	wholes_add(&stacks->wholes, hash, *is);
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
		struct whole whole;
		uint32_t row = 0;
		bool fits;

		w->now = generations_now(w->table);
		w->version = modules_version();
		fits = intern(c, w, &whole);
		if (fits && whole.id == 0)
			return 0;
		key->stack = generations_stack(w->now, whole.id);
		key->stack_hash = whole.stack_hash;
		if (fits && (row = row_of(w, key)) != 0)
			return row;
		if (!again || !generations_next(w->table, w->now)) {
			count_add(fits ? losses->no_site : losses->no_stack);
			return GENERATIONS_NO_ROOM;
		}
		again = false;
	}
}

static_assert(CAPTURE_KINDS == 2, "the other kind is kind ^ 1");

/* The thread's memo, unless it is in a walk of the other kind. */
static HOT NOINLINE struct unwind_memo *memo_of(const struct capture *c, struct scratch *s)
{
	struct unwind_memo *memo = &c->slot->memo;

	if (unlikely(threads_was_begun(c->slot, c->kind ^ 1)))
		return NULL;
	if (unlikely(memo->wanted > memo->max))
		threads_make_memo_room(c->slot, memo->wanted);
	memo->fresh_frame = scratch_frames(s);
	unwind_memo_know(memo, modules_version());
	return memo;
}

/* Apart, for the stack of what calls on from there. */
static HOT NOINLINE struct scratch *take_scratch(struct capture *c)
{
	return scratch_take(&c->scratch);
}

static HOT NOINLINE void walk_stack(struct capture *c, const struct unwind_stack_bounds *bounds,
				    struct walk *w)
{
	struct scratch *s = c->ahead != NULL ? c->ahead : take_scratch(c);
	enum unwind_end end;

	c->ahead = NULL;
	c->pc = s->pc;
	if (mode == UNWIND_LIBUNWIND)
		end = unwind_libunwind(&c->regs, bounds, scratch_reserved(s), s->pc,
				       threads_depth(), &w->depth);
	else
		end = unwind_stack(&c->regs, bounds, mode, &s->work, memo_of(c, s), s->pc,
				   threads_depth(), &w->depth);
	w->truncated = end == UNWIND_TRUNCATED;
}

HOT void sample_look_ahead(struct capture *c, const struct unwind_stack_bounds *bounds)
{
	c->ahead = take_scratch(c);
	unwind_look_ahead(&c->ahead->work, &c->slot->memo, &c->regs, bounds);
}

HOT uint32_t sample_row(struct capture *c, const struct unwind_stack_bounds *bounds,
		    struct generations *table, struct site_key *key,
		    const struct sample_losses *losses)
{
	struct walk w = { .table = table };
	uint32_t row;

	walk_stack(c, bounds, &w);
	if (w.truncated)
		count_add(COUNT_STACK_TRUNCATED);
	if (unlikely(w.depth > c->seen_max))
		threads_make_room(c, w.depth);
	row = find_row(c, &w, key, losses);
	scratch_give(&c->scratch);
	return row;
}
