/* A row starts empty, becomes the initial one by the CIE's operations, and then the one at pc by
 * the FDE's.  Registers that we do not track (vector registers, say) have their operands read and
 * their rules dropped. */
#include "sampler/cfi_program.h"

/* The three common operations have an operand in the low six bits. */
enum { ADVANCE = 1, OFFSET, RESTORE };

enum {
	OP_NOP, OP_SET_LOC, OP_ADVANCE1, OP_ADVANCE2, OP_ADVANCE4, OP_OFFSET_EXTENDED,
	OP_RESTORE_EXTENDED, OP_UNDEFINED, OP_SAME_VALUE, OP_REGISTER, OP_REMEMBER_STATE,
	OP_RESTORE_STATE, OP_DEF_CFA, OP_DEF_CFA_REGISTER, OP_DEF_CFA_OFFSET, OP_DEF_CFA_EXPRESSION,
	OP_EXPRESSION, OP_OFFSET_EXTENDED_SF, OP_DEF_CFA_SF, OP_DEF_CFA_OFFSET_SF, OP_VAL_OFFSET,
	OP_VAL_OFFSET_SF, OP_VAL_EXPRESSION,
	OP_GNU_ARGS_SIZE = 0x2e, OP_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

#define NO_REGISTER 0xff        /* cfa_reg before anything defines it */

struct program {
	const struct cfi_object *object;
	const struct cfi_record *record;
	struct cfi_work         *work;
	struct dwarf             ops;
	uintptr_t                location, pc;
	unsigned                 remembered;
	bool                     initial_known; /* work->initial: the CIE's operations are done */
};

/* What makes no sense ends like what cannot be read. */
static void fail(struct program *p) { dwarf_fail(&p->ops); }

static void advance(struct program *p, uint64_t delta)
{
	p->location += delta * p->record->code_align;
}

static void set_rule(struct program *p, uint64_t reg, enum cfi_how how, int64_t offset)
{
	struct cfi_row *row = &p->work->row;

	if (reg >= REGS_COUNT)
		return;
	if (offset != (int32_t)offset) {
		fail(p);
		return;
	}
	row->reg[reg] = (struct cfi_reg_rule){ .how = (uint8_t)how, .offset = (int32_t)offset };
	row->ruled |= 1u << reg;
}

static int64_t factored(const struct program *p, uint64_t n)
{
	return (int64_t)(n * (uint64_t)p->record->data_align);
}

static void restore_rule(struct program *p, uint64_t reg)
{
	const struct cfi_row *initial = &p->work->initial;
	struct cfi_row *row = &p->work->row;

	if (reg >= REGS_COUNT)
		return;
	if (!p->initial_known)
		fail(p);
	else if (initial->ruled >> reg & 1)
		row->reg[reg] = initial->reg[reg];
	else
		row->ruled &= ~(1u << reg);
}

/* Steps over an expression; its place is where its length stands. */
static int64_t skip_expression(struct program *p)
{
	int64_t place = p->ops.at - p->object->lo;

	dwarf_skip(&p->ops, dwarf_uleb(&p->ops));
	return place;
}

static void set_register_rule(struct program *p, uint64_t reg)
{
	uint64_t from = dwarf_uleb(&p->ops);

	if (reg >= REGS_COUNT)
		return;
	set_rule(p, reg, from < REGS_COUNT ? CFI_REGISTER : CFI_UNDEFINED, 0);
	p->work->row.reg[reg].reg = (uint8_t)from;
}

static bool run_location(struct program *p, uint8_t op)
{
	struct dwarf *ops = &p->ops;

	switch (op) {
	case OP_NOP:           return true;
	case OP_ADVANCE1:      advance(p, dwarf_u8(ops)); return true;
	case OP_ADVANCE2:      advance(p, dwarf_u16(ops)); return true;
	case OP_ADVANCE4:      advance(p, dwarf_u32(ops)); return true;
	case OP_GNU_ARGS_SIZE: dwarf_uleb(ops); return true;
	case OP_SET_LOC:
		p->location = dwarf_pointer(ops, p->record->encoding, p->object->moved, 0);
		return true;
	}
	return false;
}

static bool run_state(struct program *p, uint8_t op)
{
	struct cfi_work *work = p->work;

	switch (op) {
	case OP_REMEMBER_STATE:
		if (p->remembered < CFI_REMEMBER_MAX)
			work->remembered[p->remembered++] = work->row;
		else
			fail(p);
		return true;
	case OP_RESTORE_STATE:
		if (p->remembered > 0)
			work->row = work->remembered[--p->remembered];
		else
			fail(p);
		return true;
	}
	return false;
}

static void set_cfa_register(struct program *p, uint64_t reg)
{
	if (reg >= REGS_COUNT)
		fail(p);
	p->work->row.cfa_reg = (uint8_t)reg;
	p->work->row.cfa_is_expr = false;
}

static void set_cfa_expression(struct program *p, int64_t place)
{
	if (place != (int32_t)place)
		fail(p);
	p->work->row.cfa_expr = (int32_t)place;
	p->work->row.cfa_is_expr = true;
}

/* After an expression, a new register goes with the offset from before it: libgcrypt's assembler
 * counts on that, as libgcc does it. */
static bool run_cfa(struct program *p, uint8_t op)
{
	struct cfi_row *row = &p->work->row;
	struct dwarf *ops = &p->ops;

	switch (op) {
	case OP_DEF_CFA:
		set_cfa_register(p, dwarf_uleb(ops));
		row->cfa_offset = (int64_t)dwarf_uleb(ops);
		return true;
	case OP_DEF_CFA_SF:
		set_cfa_register(p, dwarf_uleb(ops));
		row->cfa_offset = factored(p, (uint64_t)dwarf_sleb(ops));
		return true;
	case OP_DEF_CFA_REGISTER:
		set_cfa_register(p, dwarf_uleb(ops));
		return true;
	case OP_DEF_CFA_OFFSET:
		row->cfa_offset = (int64_t)dwarf_uleb(ops);
		return true;
	case OP_DEF_CFA_OFFSET_SF:
		row->cfa_offset = factored(p, (uint64_t)dwarf_sleb(ops));
		return true;
	case OP_DEF_CFA_EXPRESSION:
		set_cfa_expression(p, skip_expression(p));
		return true;
	}
	return false;
}

static NOINLINE bool run_rule(struct program *p, uint8_t op)
{
	struct dwarf *ops = &p->ops;
	uint64_t reg = dwarf_uleb(ops);

	switch (op) {
	case OP_OFFSET_EXTENDED:
		set_rule(p, reg, CFI_OFFSET, factored(p, dwarf_uleb(ops)));
		return true;
	case OP_OFFSET_EXTENDED_SF:
		set_rule(p, reg, CFI_OFFSET, factored(p, (uint64_t)dwarf_sleb(ops)));
		return true;
	case OP_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_rule(p, reg, CFI_OFFSET, factored(p, -dwarf_uleb(ops)));
		return true;
	case OP_VAL_OFFSET:
		set_rule(p, reg, CFI_VAL_OFFSET, factored(p, dwarf_uleb(ops)));
		return true;
	case OP_VAL_OFFSET_SF:
		set_rule(p, reg, CFI_VAL_OFFSET, factored(p, (uint64_t)dwarf_sleb(ops)));
		return true;
	case OP_RESTORE_EXTENDED: restore_rule(p, reg); return true;
	case OP_UNDEFINED:        set_rule(p, reg, CFI_UNDEFINED, 0); return true;
	case OP_SAME_VALUE:       set_rule(p, reg, CFI_SAME, 0); return true;
	case OP_REGISTER:         set_register_rule(p, reg); return true;
	case OP_EXPRESSION:       set_rule(p, reg, CFI_EXPR, skip_expression(p)); return true;
	case OP_VAL_EXPRESSION:   set_rule(p, reg, CFI_VAL_EXPR, skip_expression(p)); return true;
	}
	return false;
}

static inline void run_one(struct program *p)
{
	uint8_t op = dwarf_u8(&p->ops), low = op & 0x3f;

	switch (op >> 6) {
	case ADVANCE:
		advance(p, low);
		return;
	case OFFSET:
		set_rule(p, low, CFI_OFFSET, factored(p, dwarf_uleb(&p->ops)));
		return;
	case RESTORE:
		restore_rule(p, low);
		return;
	}
	if (!run_cfa(p, op) && !run_state(p, op) && !run_location(p, op) && !run_rule(p, op))
		fail(p);
}

/* Run ops until they end or pass pc. */
static bool run(struct program *p, struct dwarf ops)
{
	unsigned left = CFI_OPS_MAX;

	p->ops = ops;
	p->location = p->record->start;
	while (p->ops.at < p->ops.end && p->location <= p->pc) {
		if (left-- == 0)
			return false;
		run_one(p);
	}
	return !p->ops.bad;
}

/* The row at the record's start. */
static bool begin(struct program *p)
{
	struct cfi_row *row = &p->work->row;

	row->ruled = 0;
	row->cfa_reg = NO_REGISTER;
	row->cfa_is_expr = false;
	row->cfa_offset = 0;
	row->signal_frame = p->record->signal_frame;
	row->function_start = p->record->start;
	row->function_end = p->record->end;
	if (!run(p, p->record->initial_ops))
		return false;
	p->work->initial = *row;
	p->initial_known = true;
	return true;
}

bool cfi_program_run(const struct cfi_object *object, const struct cfi_record *record,
		     uintptr_t pc, struct cfi_work *work)
{
	struct program p = { .object = object, .record = record, .work = work, .pc = pc };

	return begin(&p) && run(&p, record->ops);
}

bool cfi_program_each(const struct cfi_object *object, const struct cfi_record *record,
		      struct cfi_work *work,
		      void (*f)(uintptr_t start, const struct cfi_row *row, void *arg), void *arg,
		      uintptr_t *end)
{
	struct program p = { .object = object, .record = record, .work = work,
			     .pc = record->start };
	unsigned left = CFI_OPS_MAX;

	*end = record->start;
	if (!begin(&p) || p.location != record->start)
		return false;
	p.ops = record->ops;
	while (p.ops.at < p.ops.end && *end < record->end) {
		if (left-- == 0)
			return false;
		run_one(&p);
		if (p.ops.bad || p.location < *end)
			return false;
		/* An operation that advances leaves the row as it was before. */
		if (p.location > *end) {
			f(*end, &work->row, arg);
			*end = p.location;
		}
	}
	if (*end < record->end)
		f(*end, &work->row, arg);
	*end = record->end;
	return true;
}
