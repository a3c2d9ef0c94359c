#include "sampler/parked.h"

#include <stddef.h>

#include "sampler/cfi_find.h"
#include "sampler/modules.h"
#include "sampler/parked_code.h"
#include "sampler/parked_copy.h"
#include "sampler/rules.h"
#include "sampler/unwind.h"
#include "sampler/unwind_entry.h"

#define WORD  sizeof(uintptr_t)
#define BIT(reg) (1u << (reg))

/* From a signal's stack to the one that it interrupted, and so on. */
#define STACKS_MAX 4

/* Places tried for rbp, each a whole walk.  Seen: three at most (unwinding.md 9). */
#define TRIES_MAX 64

/* What a function pushes for the one that it calls: the seventh argument of syscall(), say, and a
 * word to align the stack; rarely more. */
#define PUSHED_BYTES (6 * WORD)

static struct unwind_work work;

/* One stack of a thread: where it begins, and what was found of it. */
struct walk {
	struct regs begin, end;         /* sp and rbp of the stack, or of its copy: end */
	uintptr_t  *pc;
	unsigned    max, depth;
	bool        complete;
	bool        cut;                /* it ended where nothing was copied, it seems */
};

/* --- one walk -------------------------------------------------------------------------------- */

/* The look-up address of the frame where the walk ended. */
static uintptr_t end_address(const struct walk *w)
{
	return w->end.r[REGS_PC] - (w->depth > 1);
}

/* It needs a part that was not copied. */
static bool needs_more(const struct walk *w)
{
	uint32_t rule = rules_find(end_address(w));
	uintptr_t sp = w->end.r[REGS_SP];

	switch (rules_kind(rule)) {
	case RULES_SP:
		return rule == RULES_NONE || sp + rules_offset(rule) > parked_copy.hi;
	case RULES_BP:
	case RULES_BP_LOAD:
	case RULES_UNDESCRIBED:
		return (w->end.known & BIT(REGS_BP)) &&
		       parked_copy_may_be(w->end.r[REGS_BP]);
	default:
		return true;
	}
}

static void walk_copy(struct walk *w, const struct regs *begin)
{
	struct unwind_stack_bounds bounds = { .lo = parked_copy.sp, .hi = parked_copy.hi,
					      .closed = true };
	uintptr_t bp_above = begin->r[REGS_BP] - begin->r[REGS_SP];

	w->end = *begin;
	w->end.r[REGS_SP] += parked_copy.moved;
	if ((begin->known & BIT(REGS_BP)) && bp_above <= parked_copy.bytes)
		w->end.r[REGS_BP] += parked_copy.moved;
	w->complete = unwind_stack(&w->end, &bounds, UNWIND_AUTO, &work, NULL, w->pc,
				   w->max, &w->depth) == UNWIND_COMPLETE;
	w->cut = !w->complete && w->depth < w->max && needs_more(w);
}

/* --- looking for rbp ------------------------------------------------------------------------- */

/* The function in which the walk ended: where it begins (0 unknown), and how far above sp it has
 * its rbp, as its first instructions have it (0 unknown). */
struct function { uintptr_t start; size_t frame_bytes; };

static struct function function_of(const struct walk *w)
{
	const struct cfi_row *row = &work.cfi.row;
	uintptr_t at = end_address(w);
	struct range range;
	unsigned saved = 0;

	if (!modules_find_range(at, &range) || range.place.hdr == NULL ||
	    !cfi_find_row(&range.place, at, &work.cfi))
		return (struct function){ 0, 0 };
	for (unsigned n = 0; n < REGS_COUNT; n++)
		saved += n != REGS_BP && n != REGS_PC && (row->ruled >> n & 1) != 0 &&
			 row->reg[n].how == CFI_OFFSET;
	return (struct function){ row->function_start,
				  parked_frame_bytes(row->function_start, at, saved) };
}

/* How much speaks for it that rbp points to this word of the copy: to the caller's, and the return
 * address. */
enum trust { TRUST_NONE, TRUST_LITTLE, TRUST_SOME, TRUST_MORE, TRUST_ENOUGH };

static bool follows_call(uintptr_t at)
{
	uintptr_t pc = ((const uintptr_t *)at)[1];

	return modules_is_code(pc) && unwind_entry_follows_call(pc);
}

/* The caller's points up the stack, or it is the first.  But it may be anything, if the caller uses
 * the register for something else. */
static bool is_chained(uintptr_t at)
{
	uintptr_t bp = *(const uintptr_t *)at;

	return bp == 0 || parked_copy_may_be(bp) || (bp > at + WORD && parked_copy_has(bp));
}

static enum trust trust_of(const struct walk *w, uintptr_t at, uintptr_t function)
{
	uintptr_t called = parked_called_before(((const uintptr_t *)at)[1]);

	if (called == function && function != 0)
		return w->complete ? TRUST_ENOUGH : TRUST_MORE;
	/* Through a register: any function. */
	if (called == 0 && w->complete && is_chained(at))
		return TRUST_ENOUGH;
	if (called == 0)
		return w->complete || is_chained(at) ? TRUST_SOME : TRUST_LITTLE;
	/* Another one: it was called before from this place, and is gone; or it has jumped to this
	 * one. */
	return w->complete && is_chained(at) ? TRUST_LITTLE : TRUST_NONE;
}

static enum trust try(struct walk *w, struct regs *begin, uintptr_t at, uintptr_t function)
{
	begin->r[REGS_BP] = at - parked_copy.moved;
	begin->known |= BIT(REGS_BP);
	walk_copy(w, begin);
	return trust_of(w, at, function);
}

/* The walk, again from its beginning, with rbp as it probably was.  Returns how much speaks for
 * that; TRUST_NONE: the walk is as before.  *cut: one of those that were tried was.
 *
 * The first that is good enough is taken, not the best: what is higher may be the same function,
 * called by itself. */
static enum trust search(struct walk *w, bool *cut)
{
	struct regs begin = w->begin, best_begin = begin;
	struct function function = function_of(w);
	uintptr_t sp = (w->end.r[REGS_SP] + WORD - 1) & ~(WORD - 1), to = parked_copy.hi - WORD;
	uintptr_t guess = sp + function.frame_bytes;
	enum trust best = TRUST_NONE;
	unsigned tries = 0;

	/* It may have ended behind the last word of the copy. */
	if (!parked_copy_has(sp))
		return TRUST_NONE;
	if (to - sp > PARKED_SEARCH_BYTES)
		to = sp + PARKED_SEARCH_BYTES;
	for (uintptr_t at = guess; at < to && tries < TRIES_MAX; at += WORD) {
		enum trust trust;

		if (!follows_call(at))
			continue;
		tries++;
		trust = try(w, &begin, at, function.start);
		/* Nothing was pushed since, or only arguments. */
		if (guess > sp && at <= guess + PUSHED_BYTES)
			trust = w->complete ? TRUST_ENOUGH : TRUST_MORE;
		*cut |= w->cut;
		if (trust == TRUST_ENOUGH ||
		    (trust != TRUST_NONE && w->cut && parked_copy_may_grow()))
			return trust;
		if (trust > best) {
			best = trust;
			best_begin = begin;
		}
	}
	walk_copy(w, &best_begin);
	return best;
}

/* Looks for rbp.  True if that takes a part that was not copied, as far as can be seen. */
static bool search_needs_more(struct walk *w)
{
	uintptr_t from = w->end.r[REGS_SP];
	bool cut = false;

	if (search(w, &cut) == TRUST_ENOUGH)
		return cut && !w->complete;
	return cut || (!parked_copy.ended && parked_copy.hi - from < PARKED_SEARCH_BYTES);
}

/* --- a whole stack --------------------------------------------------------------------------- */

/* The first frame is of code without tables that takes no stack: what a system call without libc
 * looks like in Go. */
static bool step_over_leaf(struct walk *w)
{
	uintptr_t back;

	if (w->depth != 1 || w->max == 1 || w->end.r[REGS_SP] != parked_copy.sp ||
	    rules_kind(rules_find(end_address(w))) != RULES_UNDESCRIBED)
		return false;
	back = *(const uintptr_t *)parked_copy.sp;
	if (!modules_is_code(back) || !unwind_entry_follows_call(back))
		return false;
	w->pc++;
	w->max--;
	w->begin.r[REGS_PC] = back - 1;
	w->begin.r[REGS_SP] += WORD;
	return true;
}

/* From w->begin to the end of this stack. */
static void walk_stack(struct walk *w)
{
	uintptr_t sp = w->begin.r[REGS_SP];

	if (!parked_copy_take(sp)) {
		w->pc[0] = w->begin.r[REGS_PC];
		w->depth = 1;
		w->complete = w->cut = false;
		w->end = w->begin;
		return;
	}
	do {
		walk_copy(w, &w->begin);
		if (w->complete || w->depth == w->max)
			return;
	} while ((w->end.known & BIT(REGS_BP) ? w->cut : search_needs_more(w)) &&
		 parked_copy_grow(sp));
}

/* The walk ended behind a signal frame: what that interrupted has another stack. */
static bool goes_on_elsewhere(struct walk *w)
{
	uintptr_t sp = w->end.r[REGS_SP];

	if (w->complete || w->depth < 2 || w->depth == w->max || parked_copy_has(sp) ||
	    sp == parked_copy.hi || sp % WORD != 0 || w->pc[w->depth - 1] != w->end.r[REGS_PC])
		return false;
	w->begin = w->end;
	w->pc += w->depth - 1;          /* its first is there already */
	w->max -= w->depth - 1;
	return true;
}

unsigned parked_walk(uintptr_t at, uintptr_t sp, uintptr_t *pc, unsigned max, bool *truncated)
{
	struct walk w = { .pc = pc, .max = max };
	size_t used = 0;

	*truncated = true;
	if (max == 0 || sp % WORD != 0 || !parked_copy_is_ready())
		return 0;
	w.begin.r[REGS_PC] = at;
	w.begin.r[REGS_SP] = sp;
	w.begin.known = BIT(REGS_PC) | BIT(REGS_SP);
	for (unsigned i = 0; i < STACKS_MAX; i++) {
		walk_stack(&w);
		if (step_over_leaf(&w))
			walk_stack(&w);
		used = parked_copy.bytes > used ? parked_copy.bytes : used;
		if (!goes_on_elsewhere(&w))
			break;
	}
	if (used > PARKED_KEEP_BYTES)
		parked_copy_give_back();
	*truncated = !w.complete;
	return (unsigned)(w.pc - pc) + w.depth;
}
