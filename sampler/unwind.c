/* Layers, each for what the one before it cannot do (unwinding.md 3f): the frames of the thread's
 * last stack; rules of code addresses seen before; compiled rows; call frame information; then (of
 * what was interrupted) the instruction itself; then the frame pointer.
 *
 * Rules forget the registers that only few rows speak of (lazy binding, OpenSSL's assembly).  Where
 * one of these is met behind a rule, the walk begins again without rules. */
#include "sampler/unwind.h"

#include "sampler/cfi_find.h"
#include "sampler/modules.h"
#include "sampler/rules.h"
#include "sampler/tables.h"
#include "sampler/unwind_entry.h"
#include "sampler/unwind_memo.h"
#include "sampler/unwind_memory.h"

/* Nothing is ever mapped below or above. */
#define PC_MIN   ((uintptr_t)4096)
#define PC_LIMIT ((uintptr_t)1 << 47)

#define BIT(reg)  (1u << (reg))
#define RULE_REGS (BIT(REGS_PC) | BIT(REGS_SP) | BIT(REGS_BP))

/* A stack has places that a sanitizer forbids to the program it guards; not to us. */
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))

enum step { STEP_TAKEN, STEP_END, STEP_NONE, STEP_NO_CODE };

static bool is_address(uintptr_t pc) { return pc >= PC_MIN && pc < PC_LIMIT; }

static bool load(struct unwind_walk *w, uintptr_t at, uintptr_t *value)
{
	return unwind_memory_load(&w->memory, at, value);
}

/* --- rules ----------------------------------------------------------------------------------- */

/* Never RULES_NONE. */
static inline uint32_t interpret(uintptr_t at, struct unwind_work *work)
{
	const struct cfi_object *place = &work->range.place;

	if (place->hdr == NULL || !cfi_find_row(place, at, &work->cfi))
		return RULES_UNDESCRIBED;
	return rules_at(rules_from_row(place, &work->cfi.row), at);
}

/* Mostly in the object where the last one was. */
static HOT NOINLINE uint32_t look_up_rule(uintptr_t at, struct unwind_work *work)
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

static inline uint32_t find_rule(uintptr_t at, struct unwind_work *work)
{
	uint32_t rule = rules_find(at);

	return likely(rule != RULES_NONE) ? rule : look_up_rule(at, work);
}

/* On a stack that is known up to limit; what is no CFA fails in the caller's test.  *bp_at: where
 * bp was saved, the CFA if it was not; *way: to the caller, as unwind_memo.h has it. */
static inline UNCHECKED uintptr_t find_plain_cfa(uint32_t rule, const struct unwind_memo_frame *f,
						 uintptr_t limit, uintptr_t *bp_at, uintptr_t *way)
{
	uintptr_t offset = rules_offset(rule), bp = f->bp, cfa;

	if (unlikely(rules_kind(rule) == RULES_BP_LOAD)) {
		*bp_at = bp;
		*way = unwind_memo_both(bp, offset);
		if (bp % 8 != 0 || bp - f->sp >= limit - f->sp || offset > bp - f->sp)
			return 0;
		return *(const uintptr_t *)(bp - offset);
	}
	cfa = (rules_kind(rule) == RULES_BP ? bp : f->sp) + offset;
	*way = *bp_at = cfa - rules_bp_offset(rule);
	return cfa;
}

/* *f is a frame that was called: from it to where the last stack is another.  Returns how many
 * addresses were written to pc[]. */
static HOT NOINLINE unsigned walk_memo(struct unwind_memo *memo, struct unwind_memo_frame *f,
				   uintptr_t *pc, unsigned room)
{
	return unwind_memo_meet(memo, f) ? unwind_memo_follow(memo, f, pc, room) : 0;
}

/* As far as the rules lead that are nearly all, on a stack that we know; where it is as it was the
 * last time, by that.  All loads are within [sp, limit).  True: to the outermost frame. */
static HOT NOINLINE UNCHECKED bool walk_plain(struct unwind_walk *w)
{
	struct regs *regs = w->regs;
	struct unwind_memo_frame f = { regs->r[REGS_SP], regs->r[REGS_PC], regs->r[REGS_BP],
				       w->way };
	uintptr_t limit = w->memory.limit & ~(uintptr_t)7, back = w->exact ? 0 : 1;
	uintptr_t *out = w->pc + w->n, *const end = w->pc + w->max;
	struct unwind_memo *memo = w->memory.limit == w->memory.bounds->hi ? w->memo : NULL;
	uint32_t rule = RULES_NONE;

	if (!w->memory.known || !(regs->known & BIT(REGS_BP)) || f.sp % 8 != 0)
		return false;
	while (out < end && is_address(f.pc)) {
		uintptr_t cfa, room, bp_at, way;

		if (memo != NULL && back != 0) {
			w->frame = f;   /* which is in registers */
			out += walk_memo(memo, &w->frame, out, (unsigned)(end - out));
			f = w->frame;
			if (memo->closed)
				w->memo = memo = NULL;
			w->kept = memo != NULL;
			if (out == end)
				break;
		}
		rule = find_rule(f.pc - back, w->work);
		if (unlikely(!rules_is_plain(rule)))
			break;
		cfa = find_plain_cfa(rule, &f, limit, &bp_at, &way);
		room = cfa - f.sp;
		/* What was interrupted may have saved bp below sp, in its red zone. */
		if (room - 1 >= limit - f.sp || cfa % 8 != 0 || bp_at > cfa ||
		    (back == 0 && bp_at < f.sp))
			break;
		*out++ = f.pc - back;
		w->kept = false;
		f.pc = ((const uintptr_t *)cfa)[-1];
		/* Saved below sp it was popped already: it is the caller's. */
		if (bp_at - f.sp < room)
			f.bp = *(const uintptr_t *)bp_at;
		else
			way = way & UNWIND_MEMO_BOTH ? UNWIND_MEMO_APART : 0;
		/* What was interrupted is not in the memo. */
		f.way = back != 0 ? way : UNWIND_MEMO_APART;
		f.sp = cfa;
		back = 1;
	}
	if (rules_kind(rule) == RULES_END && out < end)
		*out++ = f.pc - back;
	if (out == w->pc + w->n)
		return false;
	w->n = (unsigned)(out - w->pc);
	regs->r[REGS_SP] = f.sp;
	regs->r[REGS_PC] = f.pc;
	regs->r[REGS_BP] = f.bp;
	regs->known = RULE_REGS;
	w->way = f.way;
	w->first = w->exact = w->vouched = false;
	w->took_rules = true;
	return rules_kind(rule) == RULES_END;
}

static bool find_cfa(struct unwind_walk *w, uint32_t rule, uintptr_t *cfa)
{
	const uintptr_t *r = w->regs->r;
	bool bp_known = w->regs->known & BIT(REGS_BP);

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

/* The same for one frame of any kind, on any stack. */
static NOINLINE enum step step_by_rule(struct unwind_walk *w, uint32_t rule)
{
	struct regs *regs = w->regs;
	uintptr_t sp = regs->r[REGS_SP], bp = regs->r[REGS_BP], cfa, pc, slot;
	bool bp_known = regs->known & BIT(REGS_BP);

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
	regs->known = BIT(REGS_PC) | BIT(REGS_SP) | (bp_known ? BIT(REGS_BP) : 0);
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
	uint32_t known = regs->known & RULE_REGS;
	uintptr_t pc = regs->r[REGS_PC], sp = regs->r[REGS_SP], bp = regs->r[REGS_BP];

	if (!modules_find_range(*at, range) || range->place.hdr == NULL ||
	    !cfi_find_row(&range->place, *at, work))
		return STEP_NONE;
	w->described = true;
	if (!cfi_step(&range->place, work, regs, unwind_memory_load, &w->memory)) {
		w->misses_register = w->took_rules;
		return STEP_NONE;
	}
	if (!(regs->known & BIT(REGS_PC)))
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
	uint32_t rule = w->precise ? RULES_ASK : find_rule(*at, w->work);
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
	return modules_is_code(pc) || (is_address(pc) && unwind_entry_follows_call(pc));
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
	if (w->exact)
		step = step_by_entry(w);
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
		if (plain && walk_plain(w))
			return STEP_END;
		at = regs->r[REGS_PC] - (w->exact ? 0 : 1);
		listed = is_address(regs->r[REGS_PC]);
		if (w->n == w->max && regs->r[REGS_PC] >= PC_MIN)
			break;
		/* Not an address: a bad jump, if it is the first; else where the chain ends. */
		if (!listed && !w->first)
			return regs->r[REGS_PC] < PC_MIN ? STEP_END : STEP_NONE;
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
	begin(w, false);
	last = walk(w);
	if (memo != NULL)
		unwind_memo_end(memo, w->n);
	if (w->misses_register) {
		*regs = work->begin;
		w->memo = NULL;
		begin(w, true);
		last = walk(w);
	}
	*depth = w->n;
	return last == STEP_END ? UNWIND_COMPLETE : UNWIND_TRUNCATED;
}
