/* What compilers, linkers and the assembler of well-known libraries write.  Everything else is
 * RULES_ASK: 0.1 % of code bytes. */
#include "sampler/rules.h"

#include "sampler/dwarf.h"

#define WORD 8

/* Operations of expressions (DWARF 5 section 7.7.1), and the psABI's register numbers. */
enum {
	DEREF = 0x06, AND = 0x1a, PLUS = 0x22, PLUS_UCONST = 0x23, SHL = 0x24, GE = 0x2a,
	LIT0 = 0x30, BREG_BP = 0x70 + REGS_BP, BREG_SP = 0x70 + REGS_SP, BREG_PC = 0x70 + REGS_PC,
};

/* Both numbers must fit, and be multiples of 8. */
static uint32_t make(enum rules_kind kind, int64_t offset, int64_t bp_offset)
{
	if (offset < 0 || offset > 0x3fff8 || offset % WORD != 0 || bp_offset < 0 ||
	    bp_offset > 2047 * WORD || bp_offset % WORD != 0)
		return RULES_ASK;
	return (uint32_t)kind | (uint32_t)offset | (uint32_t)(bp_offset / WORD) << 18;
}

static struct dwarf expression(const struct cfi_object *object, int32_t place)
{
	struct dwarf d = { .at = object->lo + place, .end = object->hi };
	uint64_t n = dwarf_uleb(&d);

	if (d.bad || n > dwarf_left(&d))
		dwarf_fail(&d);
	else
		d.end = d.at + n;
	return d;
}

static bool at_end(const struct dwarf *d)
{
	return !d->bad && d->at == d->end;
}

/* How far below the CFA bp was saved; 0: it is as it was; -1: a rule cannot say. */
static int64_t bp_below_cfa(const struct cfi_row *row)
{
	const struct cfi_reg_rule *bp = &row->reg[REGS_BP];

	if (!(row->ruled >> REGS_BP & 1) || bp->how == CFI_SAME)
		return 0;
	return bp->how == CFI_OFFSET && bp->offset < 0 ? -(int64_t)bp->offset : -1;
}

static bool bp_is_saved_at_bp(const struct cfi_object *object, const struct cfi_row *row)
{
	struct dwarf d;

	if (!(row->ruled >> REGS_BP & 1) || row->reg[REGS_BP].how != CFI_EXPR)
		return false;
	d = expression(object, row->reg[REGS_BP].offset);
	return dwarf_u8(&d) == BREG_BP && dwarf_sleb(&d) == 0 && at_end(&d);
}

/* Of the linker's stubs that bind a function when it is first called: 8, and 8 more where the low
 * four bits of pc are n at least.  d is after the first register. */
static bool is_plt(struct dwarf d, int64_t offset, uint8_t *n)
{
	if (offset != WORD || dwarf_u8(&d) != BREG_PC || dwarf_sleb(&d) != 0 ||
	    dwarf_u8(&d) != LIT0 + 15 || dwarf_u8(&d) != AND)
		return false;
	*n = (uint8_t)(dwarf_u8(&d) - LIT0);
	return *n < 16 && dwarf_u8(&d) == GE && dwarf_u8(&d) == LIT0 + 3 && dwarf_u8(&d) == SHL &&
	       dwarf_u8(&d) == PLUS && at_end(&d);
}

static uint32_t from_expression(const struct cfi_object *object, const struct cfi_row *row)
{
	struct dwarf d = expression(object, row->cfa_expr);
	uint8_t base = dwarf_u8(&d), n;
	int64_t offset = dwarf_sleb(&d), bp_offset = bp_below_cfa(row);

	if (base == BREG_SP && bp_offset == 0 && is_plt(d, offset, &n))
		return make(RULES_PLT, n * WORD, 0);
	if (dwarf_u8(&d) != DEREF)
		return RULES_ASK;
	if (base == BREG_BP && at_end(&d) && bp_is_saved_at_bp(object, row))
		return make(RULES_BP_LOAD, (int64_t)(0 - (uint64_t)offset), 0);
	if (base == BREG_SP && dwarf_u8(&d) == PLUS_UCONST && dwarf_uleb(&d) == WORD && at_end(&d))
		return make(RULES_SP_LOAD, offset, bp_offset);
	return RULES_ASK;
}

uint32_t rules_from_row(const struct cfi_object *object, const struct cfi_row *row)
{
	const struct cfi_reg_rule *pc = &row->reg[REGS_PC];

	if (!(row->ruled >> REGS_PC & 1) || (row->ruled >> REGS_SP & 1) || row->signal_frame)
		return RULES_ASK;
	if (pc->how == CFI_UNDEFINED && !row->cfa_is_expr && row->cfa_reg == REGS_SP)
		return RULES_END;
	if (pc->how != CFI_OFFSET || pc->offset != -WORD)
		return RULES_ASK;
	if (row->cfa_is_expr)
		return from_expression(object, row);
	if ((row->cfa_reg != REGS_SP && row->cfa_reg != REGS_BP) || row->cfa_offset == 0)
		return RULES_ASK;
	return make(row->cfa_reg == REGS_SP ? RULES_SP : RULES_BP, row->cfa_offset,
		    bp_below_cfa(row));
}

HOT uint32_t rules_at(uint32_t rule, uintptr_t pc)
{
	if (rules_kind(rule) != RULES_PLT)
		return rule;
	return make(RULES_SP, (pc & 15) * WORD >= rules_offset(rule) ? 2 * WORD : WORD, 0);
}
