/* Per frame: a rule that is known already, call frame information, then (of what was interrupted)
 * the instruction itself, then the frame pointer.  Faster layers of unwinding.md (3a to 3c) go in
 * front of step_by_cfi, in take_step; they need no more than pc, sp and bp.
 *
 * A rule forgets the registers that only few rows speak of (lazy binding, OpenSSL's assembly).
 * Where one of these is met behind a rule, the walk begins again without rules. */
#include "sampler/unwind.h"

#include "sampler/modules.h"
#include "sampler/rules.h"
#include "sampler/unwind_entry.h"
#include "sampler/unwind_memory.h"

/* Nothing is ever mapped below or above. */
#define PC_MIN   ((uintptr_t)4096)
#define PC_LIMIT ((uintptr_t)1 << 47)

#define BIT(reg) (1u << (reg))

enum step { STEP_TAKEN, STEP_END, STEP_NONE };

struct walk {
	struct regs         *regs;
	struct cfi_work     *work;
	struct unwind_memory memory;
	enum unwind_mode     mode;
	bool                 first;
	bool                 exact;     /* pc was interrupted; else it is a return address */
	bool                 described; /* this frame has a row: rbp need not be a frame pointer */
	bool                 precise;   /* take no rules */
	bool                 took_rules;
	bool                 misses_register;   /* a row could not be applied behind rules */
};

static bool is_address(uintptr_t pc) { return pc >= PC_MIN && pc < PC_LIMIT; }

static bool load(struct walk *w, uintptr_t at, uintptr_t *value)
{
	return unwind_memory_load(&w->memory, at, value);
}

/* After a step through a row.  *at is the stepped frame's address; the trampoline was not called,
 * so its pc is as exact as that of the frame behind it, which a signal interrupted. */
static bool arrive(struct walk *w, const struct cfi_row *row, uintptr_t sp, uintptr_t pc,
		   uintptr_t *at)
{
	uintptr_t caller_sp = w->regs->r[REGS_SP];

	w->exact = row->signal_frame;
	if (!row->signal_frame)
		return unwind_memory_leave(&w->memory, sp, caller_sp);
	*at = pc;
	unwind_memory_enter(&w->memory, caller_sp, true);
	return true;
}

/* As step_by_cfi with the row behind the rule; a bp that is saved below sp was popped already. */
static enum step step_by_rule(struct walk *w, uintptr_t at)
{
	struct regs *regs = w->regs;
	uint32_t rule = w->precise ? RULES_NONE : rules_find(at);
	bool bp_known = regs->known & BIT(REGS_BP);
	uintptr_t sp = regs->r[REGS_SP], bp = regs->r[REGS_BP], cfa, pc, slot;

	if (rule == RULES_NONE || (rules_base_is_bp(rule) && !bp_known))
		return STEP_NONE;
	cfa = (rules_base_is_bp(rule) ? bp : sp) + rules_cfa_offset(rule);
	slot = cfa - rules_bp_offset(rule);
	if (!load(w, cfa - sizeof(pc), &pc))
		return STEP_NONE;
	if (slot != cfa && load(w, slot, &bp))
		bp_known = true;
	else if (slot != cfa && !(slot < sp && bp_known))
		return STEP_NONE;
	if (!unwind_memory_leave(&w->memory, sp, cfa))
		return STEP_NONE;
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = cfa;
	regs->r[REGS_BP] = bp;
	regs->known = BIT(REGS_PC) | BIT(REGS_SP) | (bp_known ? BIT(REGS_BP) : 0);
	w->exact = false;
	w->took_rules = true;
	return STEP_TAKEN;
}

static enum step step_by_cfi(struct walk *w, uintptr_t *at)
{
	struct cfi_object object;
	struct regs *regs = w->regs;
	uint32_t known = regs->known & (BIT(REGS_PC) | BIT(REGS_SP) | BIT(REGS_BP));
	uintptr_t pc = regs->r[REGS_PC], sp = regs->r[REGS_SP], bp = regs->r[REGS_BP];

	if (!modules_find_unwind(*at, &object) || !cfi_find_row(&object, *at, w->work))
		return STEP_NONE;
	w->described = true;
	if (object.moved == 0)
		rules_add(*at, &w->work->row);
	if (!cfi_step(&object, &w->work->row, regs, unwind_memory_load, &w->memory)) {
		w->misses_register = w->took_rules;
		return STEP_NONE;
	}
	if (!(regs->known & BIT(REGS_PC)))
		return STEP_END;
	if (arrive(w, &w->work->row, sp, pc, at))
		return STEP_TAKEN;
	/* What the frame pointer needs, as it was. */
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = sp;
	regs->r[REGS_BP] = bp;
	regs->known = known;
	return STEP_NONE;
}

/* What no table vouches for: known code, or new code of a JIT, right after a call. */
static bool may_return_to(uintptr_t pc)
{
	return modules_is_code(pc) || (is_address(pc) && unwind_entry_follows_call(pc));
}

/* A function that has just been entered, or is about to return. */
static enum step step_by_entry(struct walk *w)
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

static enum step step_by_frame_pointer(struct walk *w)
{
	struct regs *regs = w->regs;
	uintptr_t sp = regs->r[REGS_SP], frame = regs->r[REGS_BP], bp, pc;

	if (!(regs->known & BIT(REGS_BP)))
		return STEP_NONE;
	if (frame == 0)
		return w->first || w->described ? STEP_NONE : STEP_END;
	if (frame < sp || !load(w, frame, &bp) || !load(w, frame + sizeof(bp), &pc))
		return STEP_NONE;
	if (pc < PC_MIN)
		return w->described ? STEP_NONE : STEP_END;
	if (!may_return_to(pc) ||
	    !unwind_memory_leave(&w->memory, sp, frame + sizeof(bp) + sizeof(pc)))
		return STEP_NONE;
	regs->r[REGS_PC] = pc;
	regs->r[REGS_SP] = frame + sizeof(bp) + sizeof(pc);
	regs->r[REGS_BP] = bp;
	regs->known = BIT(REGS_PC) | BIT(REGS_SP) | BIT(REGS_BP);
	return STEP_TAKEN;
}

/* To the caller.  *at is the address of the frame that is left. */
static enum step take_step(struct walk *w, uintptr_t *at)
{
	enum step step = STEP_NONE;

	w->described = false;
	unwind_memory_frame(&w->memory, w->regs->r[REGS_SP], w->exact);
	if (w->mode == UNWIND_AUTO) {
		step = step_by_rule(w, *at);
		if (step == STEP_NONE)
			step = step_by_cfi(w, at);
	}
	if (step != STEP_NONE)
		return step;
	if (w->exact)
		step = step_by_entry(w);
	if (step == STEP_NONE)
		step = step_by_frame_pointer(w);
	w->exact = false;
	return step;
}

static inline unsigned walk(struct walk *w, uintptr_t *pc, unsigned max, enum step *last)
{
	struct regs *regs = w->regs;
	enum step step = STEP_TAKEN;
	unsigned n = 0;

	w->first = w->exact = true;
	unwind_memory_enter(&w->memory, regs->r[REGS_SP], false);
	while (step == STEP_TAKEN && (n < max || regs->r[REGS_PC] < PC_MIN)) {
		uintptr_t at = regs->r[REGS_PC] - (w->exact ? 0 : 1);
		bool listed = is_address(regs->r[REGS_PC]);

		/* Not an address: a bad jump, if it is the first; else where the chain ends. */
		if (!listed && !w->first) {
			step = regs->r[REGS_PC] < PC_MIN ? STEP_END : STEP_NONE;
			break;
		}
		step = take_step(w, &at);
		w->first = false;
		if (listed)
			pc[n++] = at;
	}
	*last = step;
	return n;
}

enum unwind_end unwind_stack(struct regs *regs, const struct unwind_stack_bounds *bounds,
			     enum unwind_mode mode, struct cfi_work *work,
			     uintptr_t *pc, unsigned max, unsigned *depth)
{
	bool precise = false, again;
	enum step last;

	work->begin = *regs;
	do {
		struct walk w = { .regs = regs, .work = work, .memory = { .bounds = bounds },
				  .mode = mode, .precise = precise };

		*depth = walk(&w, pc, max, &last);
		again = w.misses_register;
		precise = true;
		if (again)
			*regs = work->begin;
	} while (again);
	return last == STEP_END ? UNWIND_COMPLETE : UNWIND_TRUNCATED;
}
