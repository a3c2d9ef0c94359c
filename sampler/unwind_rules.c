/* Nearly all frames of nearly all walks.  Where stacks differ nobody can predict whether a frame is
 * found by sp or by bp, or whether it saved bp; a wrong prediction takes as long as a frame.  So
 * these are choices of the processor's, not branches: a rule that waits for the level 2 cache is
 * what remains (bench-unwind, random). */
#include "sampler/unwind_rules.h"

#include <assert.h>

#include "sampler/cfi_find.h"
#include "sampler/modules.h"
#include "sampler/tables.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

/* What the compiler cannot see through: it then makes a choice where it may make a branch, and
 * works out first what does not wait for memory. */
ALWAYS_INLINE uintptr_t hide(uintptr_t x)
{
	__asm__("" : "+r"(x));
	return x;
}

/* --- the rule of an address ------------------------------------------------------------------ */

/* Never RULES_NONE. */
static inline uint32_t interpret(uintptr_t at, struct unwind_work *work)
{
	const struct cfi_object *place = &work->range.place;

	if (place->hdr == NULL || !cfi_find_row(place, at, &work->cfi))
		return RULES_UNDESCRIBED;
	return rules_at(rules_from_row(place, &work->cfi.row), at);
}

/* Mostly in the object where the last one was. */
HOT uint32_t unwind_rules_look(uintptr_t at, struct unwind_work *work)
{
	const struct range *range = &work->range;
	const struct rows *rows = NULL;
	uint32_t rule = RULES_NONE;

	if (likely(unwind_is_near(&work->near, at)))
		rule = rows_find(&work->near.rows, at - work->near.image);
	if (likely(rule != RULES_NONE)) {
		rules_add(at, rule);
		return rule;
	}
	if (!modules_find_range(at, &work->range))
		return RULES_UNDESCRIBED;
	if (range->tables != NULL)
		rows = tables_rows(range->tables);
	if (rows != NULL)
		rule = rows_find(rows, at - range->image);
	if (rule != RULES_NONE && range->permanent)
		work->near = (struct unwind_near){ range->start, range->limit, range->image,
						   *rows };
	/* Rows are wiped in a fork child that nobody told us of. */
	if (rule == RULES_NONE)
		rule = interpret(at, work);
	if (range->permanent)
		rules_add(at, rule);
	return rule;
}

/* The rule of the frame before pc (a return address), which is not at its place. */
static HOT NOINLINE uint32_t find_beside(uintptr_t pc, struct unwind_walk *w)
{
	uint32_t rule = RULES_NONE;

	if (!unwind_rules_is_address(pc))
		return RULES_ASK;
	if (rules_may_know(pc - 1))
		rule = rules_find_beside(pc - 1);
	return rule != RULES_NONE ? rule : unwind_rules_look(pc - 1, w->work);
}

ALWAYS_INLINE uint32_t find_before(uintptr_t pc, struct unwind_walk *w)
{
	uint64_t found = rules_at_place(rules_place(pc - 1)) ^ hide(rules_mix(pc - 1));

	if (unlikely(!rules_is_rule(found)) || unlikely(!rules_may_know(pc - 1)))
		return find_beside(pc, w);
	return (uint32_t)found;
}

/* --- one frame ------------------------------------------------------------------------------- */

/* bp of the caller, which was saved `below` bytes below the CFA.  With 0 it was not; below sp it
 * was popped already: it is the caller's. */
ALWAYS_INLINE UNCHECKED uintptr_t caller_bp(uintptr_t bp, uintptr_t cfa, uintptr_t below,
					    uintptr_t frame_bytes)
{
	uintptr_t return_address = cfa - sizeof(uintptr_t), saved = hide(cfa - below);
	uintptr_t at = hide(below - 1 < frame_bytes ? saved : return_address);

	saved = hide(*(const uintptr_t *)at);
	return hide(below) - 1 < frame_bytes ? saved : bp;
}

/* RULES_BP_LOAD, which is rare.  0: not on this stack. */
static NOINLINE UNCHECKED uintptr_t load_cfa(uint32_t rule, const struct unwind_memo_frame *f,
					     uintptr_t limit)
{
	uintptr_t offset = rules_offset(rule), bp = f->bp, cfa;

	if (bp % 8 != 0 || bp - f->sp >= limit - f->sp || offset > bp - f->sp)
		return 0;
	cfa = *(const uintptr_t *)(bp - offset);
	return bp <= cfa ? cfa : 0;
}

/* To the caller, as unwind_memo.h has it; the frame that was interrupted is not in the memo. */
ALWAYS_INLINE uintptr_t way_of(uint32_t rule, uintptr_t bp, uintptr_t cfa, uintptr_t below,
			       bool saved, bool exact)
{
	if (exact || (!saved && unlikely(rules_kind(rule) == RULES_BP_LOAD)))
		return UNWIND_MEMO_APART;
	if (unlikely(rules_kind(rule) == RULES_BP_LOAD))
		return unwind_memo_both(bp, rules_offset(rule));
	return saved ? cfa - below : 0;
}

/* *f becomes its caller, on a stack that is known up to limit.  False: the rule does not lead
 * there, *f is as it was.  exact: *f was interrupted; with_way: f->way is wanted. */
ALWAYS_INLINE UNCHECKED bool leave(uint32_t rule, struct unwind_memo_frame *f, uintptr_t limit,
				   bool exact, bool with_way)
{
	uintptr_t base = hide(rule & RULES_BP ? f->bp : f->sp), cfa = base + rules_offset(rule);
	uintptr_t below = rules_bp_offset(rule), bytes;

	static_assert(RULES_SP == 0 && RULES_BP == 1, "the lowest bit of a rule chooses");
	if (unlikely((rule & 7) > RULES_BP)) {
		if (rules_kind(rule) != RULES_BP_LOAD)
			return false;
		cfa = load_cfa(rule, f, limit);
		below = cfa - f->bp;
	}
	bytes = cfa - f->sp;
	if (unlikely(bytes - 1 >= limit - f->sp) || unlikely(cfa % 8 != 0))
		return false;
	/* What was interrupted may have saved bp below sp, in its red zone. */
	if (unlikely(below > bytes) && exact)
		return false;
	if (with_way)
		f->way = way_of(rule, f->bp, cfa, below, below - 1 < bytes, exact);
	f->pc = ((const uintptr_t *)cfa)[-1];
	f->bp = caller_bp(f->bp, cfa, below, bytes);
	f->sp = cfa;
	return true;
}

/* --- as far as they lead --------------------------------------------------------------------- */

/* *f is in the memo: on to where the last stack is another.  Returns the end of what was written to
 * out[]. */
static HOT NOINLINE uintptr_t *follow(struct unwind_walk *w, struct unwind_memo_frame *f,
				      uintptr_t *out)
{
	out += unwind_memo_follow(w->memo, f, out, (unsigned)(w->pc + w->max - out));
	if (w->memo->closed)
		w->memo = NULL;
	w->kept = w->memo != NULL;
	return out;
}

/* Where *f got to: at out[]. */
static bool arrive(struct unwind_walk *w, const struct unwind_memo_frame *f, const uintptr_t *out)
{
	struct regs *regs = w->regs;

	if (out == w->pc + w->n)
		return false;
	w->n = (unsigned)(out - w->pc);
	regs->r[REGS_SP] = f->sp;
	regs->r[REGS_PC] = f->pc;
	regs->r[REGS_BP] = f->bp;
	regs->known = UNWIND_RULE_REGS;
	w->way = f->way;
	w->first = w->exact = w->vouched = false;
	w->took_rules = true;
	return true;
}

/* f is in registers.  Its pc is a return address, or the one after what was interrupted. */
ALWAYS_INLINE UNCHECKED bool walk(struct unwind_walk *w, bool with_memo)
{
	const struct regs *regs = w->regs;
	bool exact = w->exact, ended;
	struct unwind_memo_frame f = { regs->r[REGS_SP], regs->r[REGS_PC] + (exact ? 1 : 0),
				       regs->r[REGS_BP], w->way };
	uintptr_t limit = w->memory.limit & ~(uintptr_t)7;
	uintptr_t *out = w->pc + w->n, *const end = w->pc + w->max;
	uint32_t rule = RULES_NONE;

	while (out < end) {
		if (with_memo && w->memo != NULL && !exact) {
			w->kept = true;
			if (unlikely(unwind_memo_meet(w->memo, &f))) {
				w->frame = f;
				out = follow(w, &w->frame, out);
				f = w->frame;
				if (out == end)
					break;
			}
		}
		*out = f.pc - 1;
		rule = find_before(f.pc, w);
		if (!leave(rule, &f, limit, exact, with_memo))
			break;
		out++;
		if (with_memo)
			w->kept = false;
		exact = false;
	}
	ended = rules_kind(rule) == RULES_END && out < end;
	out += ended ? 1 : 0;
	f.pc -= exact ? 1 : 0;
	return arrive(w, &f, out) && ended;
}

static HOT NOINLINE UNCHECKED bool walk_with_memo(struct unwind_walk *w) { return walk(w, true); }
static HOT NOINLINE UNCHECKED bool walk_without(struct unwind_walk *w) { return walk(w, false); }

HOT bool unwind_rules_walk(struct unwind_walk *w)
{
	const struct regs *regs = w->regs;

	if (!w->memory.known || !(regs->known & REGS_BIT(REGS_BP)) || regs->r[REGS_SP] % 8 != 0)
		return false;
	if (w->memo != NULL && w->memory.limit == w->memory.bounds->hi)
		return walk_with_memo(w);
	return walk_without(w);
}
