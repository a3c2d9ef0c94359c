/* Layers, each for what the one before it cannot do (unwinding.md 3f): the frames of the thread's
 * last stack; rules of code addresses seen before; compiled rows; call frame information; then (of
 * what was interrupted) the instruction itself; then the frame pointer.
 *
 * Rules forget the registers that only few rows speak of (lazy binding, OpenSSL's assembly).  Where
 * one of these is met behind a rule, the walk begins again without rules. */
#include "sampler/unwind.h"

#include "sampler/cfi_find.h"
#include "sampler/modules.h"
#include "sampler/unwind_entry.h"
#include "sampler/unwind_rules.h"

enum step { STEP_TAKEN, STEP_END, STEP_NONE, STEP_NO_CODE };

static bool load(struct unwind_walk *w, uintptr_t at, uintptr_t *value)
{
	return unwind_memory_load(&w->memory, at, value);
}

/* --- rules ----------------------------------------------------------------------------------- */

static bool find_cfa(struct unwind_walk *w, uint32_t rule, uintptr_t *cfa)
{
	const uintptr_t *r = w->regs->r;
	bool bp_known = w->regs->known & REGS_BIT(REGS_BP);

	switch (rules_kind(rule)) {
	case RULES_SP:
		*cfa = r[REGS_SP] + rules_offset(rule);
		return true;
	case RULES_BP:
		*cfa = r[REGS_BP] + rules_offset(rule);
		return bp_known;
	case RULES_SP_LOAD:
		if (!load(w, r[REGS_SP] + rules_offset(rule), cfa))
			return false;
		*cfa += sizeof(*cfa);
		return true;
	case RULES_BP_LOAD:
		return bp_known && load(w, r[REGS_BP] - rules_offset(rule), cfa);
	default:
		return false;
	}
}

/* One frame of any kind, on any stack. */
static NOINLINE enum step step_by_rule(struct unwind_walk *w, uint32_t rule)
{
	struct regs *regs = w->regs;
	uintptr_t sp = regs->r[REGS_SP], bp = regs->r[REGS_BP], cfa, pc, slot;
	bool bp_known = regs->known & REGS_BIT(REGS_BP);

	if (!find_cfa(w, rule, &cfa) || !load(w, cfa - sizeof(pc), &pc))
		return STEP_NONE;
	slot = rules_kind(rule) == RULES_BP_LOAD ? bp : cfa - rules_bp_offset(rule);
	if (slot < cfa && load(w, slot, &bp))
		bp_known = true;
	else if (slot != cfa && !(slot < sp && bp_known))
		return STEP_NONE;
	if (!unwind_memory_leave(&w->memory, sp, cfa))
		return STEP_NONE;
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = cfa;
	regs->r[REGS_BP] = bp;
	regs->known = REGS_BIT(REGS_PC) | REGS_BIT(REGS_SP) | (bp_known ? REGS_BIT(REGS_BP) : 0);
	w->exact = false;
	w->took_rules = true;
	return STEP_TAKEN;
}

/* --- tables ---------------------------------------------------------------------------------- */

/* After a step through a row.  *at is the stepped frame's address; the trampoline was not called,
 * so its pc is as exact as that of the frame behind it, which a signal interrupted. */
static bool arrive(struct unwind_walk *w, const struct cfi_row *row, uintptr_t sp, uintptr_t pc,
		   uintptr_t *at)
{
	uintptr_t caller_sp = w->regs->r[REGS_SP];
	bool interrupted = w->exact;

	w->exact = row->signal_frame;
	/* Only vfork has its return address in a register, and takes no stack. */
	if (interrupted && caller_sp == sp && row->reg[REGS_PC].how == CFI_REGISTER)
		return true;
	if (!row->signal_frame)
		return unwind_memory_leave(&w->memory, sp, caller_sp);
	*at = pc;
	unwind_memory_enter(&w->memory, caller_sp, true);
	return true;
}

static NOINLINE enum step step_by_cfi(struct unwind_walk *w, uintptr_t *at)
{
	struct range *range = &w->work->range;
	struct cfi_work *work = &w->work->cfi;
	struct regs *regs = w->regs;
	uint32_t known = regs->known & UNWIND_RULE_REGS;
	uintptr_t pc = regs->r[REGS_PC], sp = regs->r[REGS_SP], bp = regs->r[REGS_BP];

	if (!modules_find_range(*at, range) || range->place.hdr == NULL ||
	    !cfi_find_row(&range->place, *at, work))
		return STEP_NONE;
	w->described = true;
	if (!cfi_step(&range->place, work, regs, unwind_memory_load, &w->memory)) {
		w->misses_register = w->took_rules;
		return STEP_NONE;
	}
	if (!(regs->known & REGS_BIT(REGS_PC)))
		return STEP_END;
	if (arrive(w, &work->row, sp, pc, at))
		return STEP_TAKEN;
	/* What the frame pointer needs, as it was. */
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = sp;
	regs->r[REGS_BP] = bp;
	regs->known = known;
	return STEP_NONE;
}

static enum step step_by_tables(struct unwind_walk *w, uintptr_t *at)
{
	uint32_t rule = w->precise ? RULES_ASK : unwind_rules_find(*at, w->work);
	enum step step = STEP_NONE;

	if (rules_kind(rule) == RULES_UNDESCRIBED)
		return STEP_NONE;
	w->described = rules_kind(rule) != RULES_ASK;
	if (rules_kind(rule) == RULES_END)
		return STEP_END;
	if (rules_kind(rule) != RULES_ASK)
		step = step_by_rule(w, rule);
	return step != STEP_NONE ? step : step_by_cfi(w, at);
}

/* --- without tables -------------------------------------------------------------------------- */

/* What no table vouches for: known code, or new code of a JIT, right after a call. */
static bool may_return_to(uintptr_t pc)
{
	return modules_is_code(pc) ||
	       (unwind_rules_is_address(pc) && unwind_entry_follows_call(pc));
}

/* A function that has just been entered, or is about to return. */
static NOINLINE enum step step_by_entry(struct unwind_walk *w)
{
	struct regs *regs = w->regs;
	int offset = unwind_entry_offset(regs->r[REGS_PC]);
	uintptr_t sp = regs->r[REGS_SP], pc, bp = regs->r[REGS_BP];

	if (offset == UNWIND_ENTRY_NONE || !load(w, sp + (unsigned)offset, &pc) ||
	    !may_return_to(pc) || (offset > 0 && !load(w, sp, &bp)) ||
	    !unwind_memory_leave(&w->memory, sp, sp + (unsigned)offset + sizeof(pc)))
		return STEP_NONE;
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = sp + (unsigned)offset + sizeof(pc);
	regs->r[REGS_BP] = bp;
	return STEP_TAKEN;
}

static NOINLINE enum step step_by_frame_pointer(struct unwind_walk *w)
{
	struct regs *regs = w->regs;
	uintptr_t sp = regs->r[REGS_SP], frame = regs->r[REGS_BP], bp, pc;

	if (!(regs->known & REGS_BIT(REGS_BP)))
		return STEP_NONE;
	if (frame == 0)
		return w->first || w->described ? STEP_NONE : STEP_END;
	if (frame < sp || !load(w, frame, &bp) || !load(w, frame + sizeof(bp), &pc))
		return STEP_NONE;
	if (pc < UNWIND_PC_MIN)
		return w->described ? STEP_NONE : STEP_END;
	if (!may_return_to(pc) ||
	    !unwind_memory_leave(&w->memory, sp, frame + sizeof(bp) + sizeof(pc)))
		return STEP_NONE;
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = frame + sizeof(bp) + sizeof(pc);
	regs->r[REGS_BP] = bp;
	regs->known = REGS_BIT(REGS_PC) | REGS_BIT(REGS_SP) | REGS_BIT(REGS_BP);
	return STEP_TAKEN;
}

/* To the caller.  *at is the address of the frame that is left. */
static NOINLINE enum step take_step(struct unwind_walk *w, uintptr_t *at)
{
	enum step step = STEP_NONE;
	bool vouched = w->vouched || w->exact;
	uintptr_t from = w->regs->r[REGS_PC];

	w->described = w->vouched = false;
	w->way = UNWIND_MEMO_APART;
	unwind_memory_frame(&w->memory, w->regs->r[REGS_SP], w->exact);
	if (w->mode == UNWIND_AUTO)
		step = step_by_tables(w, at);
	if (step != STEP_NONE)
		return step;
	/* A word that a row took for a return address. */
	if (!vouched && !w->described && !may_return_to(from))
		return STEP_NO_CODE;
	if (w->exact && !w->memory.bounds->closed)
		step = step_by_entry(w);        /* reads code that another thread may unmap */
	if (step == STEP_NONE) {
		step = step_by_frame_pointer(w);
		/* Of a frame with a row it depends on more than its pc that this was the way; and
		 * what was taken for a call may be overwritten. */
		if (w->kept && !w->described && modules_is_code(from) &&
		    modules_is_code(w->regs->r[REGS_PC]))
			w->way = w->regs->r[REGS_SP] - 2 * sizeof(uintptr_t);
	}
	w->exact = false;
	w->vouched = step == STEP_TAKEN;
	return step;
}

static HOT enum step walk(struct unwind_walk *w)
{
	struct regs *regs = w->regs;
	enum step step = STEP_TAKEN;
	bool plain = w->mode == UNWIND_AUTO && !w->precise;

	unwind_memory_enter(&w->memory, regs->r[REGS_SP], false);
	while (step == STEP_TAKEN) {
		uintptr_t at;
		bool listed;

		w->kept = false;
		if (plain && unwind_rules_walk(w))
			return STEP_END;
		at = regs->r[REGS_PC] - (w->exact ? 0 : 1);
		listed = unwind_rules_is_address(regs->r[REGS_PC]);
		if (w->n == w->max && regs->r[REGS_PC] >= UNWIND_PC_MIN)
			break;
		/* Not an address: a bad jump, if it is the first; else where the chain ends. */
		if (!listed && !w->first)
			return regs->r[REGS_PC] < UNWIND_PC_MIN ? STEP_END : STEP_NONE;
		step = take_step(w, &at);
		if (step == STEP_NO_CODE)
			break;
		w->first = false;
		if (listed)
			w->pc[w->n++] = at;
	}
	return step;
}

/* From the first frame. */
static void begin(struct unwind_walk *w, bool precise)
{
	w->n = 0;
	w->first = w->exact = true;
	w->took_rules = w->misses_register = w->vouched = false;
	w->way = UNWIND_MEMO_APART;
	w->precise = precise;
}

HOT enum unwind_end unwind_stack(struct regs *regs, const struct unwind_stack_bounds *bounds,
			     enum unwind_mode mode, struct unwind_work *work,
			     struct unwind_memo *memo, uintptr_t *pc, unsigned max, unsigned *depth)
{
	struct unwind_walk *w = &work->walk;
	enum step last;

	if (memo != NULL && (bounds->lo == 0 || !unwind_memo_begin(memo, bounds->hi)))
		memo = NULL;
	w->regs = regs;
	w->work = work;
	w->memo = memo;
	w->memory.bounds = bounds;
	w->pc = pc;
	w->max = max;
	w->mode = mode;
	work->begin = *regs;
	for (begin(w, false);; begin(w, true)) {
		last = walk(w);
		if (memo != NULL)
			unwind_memo_end(memo, w->n);
		if (likely(!w->misses_register))
			break;
		*regs = work->begin;
		w->memo = memo = NULL;
	}
	*depth = w->n;
	return last == STEP_END ? UNWIND_COMPLETE : UNWIND_TRUNCATED;
}
