/* Direct-mapped.  The slot is the low 14 bits of pc, mixed with the next 14; the word keeps the
 * bits from 14 on: together they are the whole pc, so there are no false hits. */
#include "sampler/rules.h"

#include <stdatomic.h>

#define SLOT_BITS 14
#define RULE_BITS 29
#define RULE_MASK ((UINT64_C(1) << RULE_BITS) - 1)

static _Atomic uint64_t words[1u << SLOT_BITS];

static _Atomic uint64_t *find_word(uintptr_t pc)
{
	return &words[(pc ^ pc >> SLOT_BITS) & ((1u << SLOT_BITS) - 1)];
}

uint32_t rules_find(uintptr_t pc)
{
	uint64_t word = atomic_load_explicit(find_word(pc), memory_order_relaxed);

	return word >> RULE_BITS == pc >> SLOT_BITS ? (uint32_t)(word & RULE_MASK) : RULES_NONE;
}

/* RULES_NONE: it is more than a rule can say. */
static uint32_t make_rule(const struct cfi_row *row)
{
	const struct cfi_reg_rule *bp = &row->reg[REGS_BP], *pc = &row->reg[REGS_PC];
	bool bp_ruled = row->ruled >> REGS_BP & 1, pc_ruled = row->ruled >> REGS_PC & 1;
	uint32_t slot = 0;

	if (!pc_ruled || (row->ruled >> REGS_SP & 1) || row->signal_frame || row->cfa_is_expr ||
	    (row->cfa_reg != REGS_SP && row->cfa_reg != REGS_BP) || row->cfa_offset <= 0 ||
	    row->cfa_offset > 0x3fff8 || row->cfa_offset % 8 != 0 || pc->how != CFI_OFFSET ||
	    pc->offset != -8)
		return RULES_NONE;
	if (bp_ruled && bp->how == CFI_OFFSET) {
		if (bp->offset >= 0 || bp->offset % 8 != 0 || bp->offset < -8 * 2047)
			return RULES_NONE;
		slot = (uint32_t)(-bp->offset / 8);
	} else if (bp_ruled && bp->how != CFI_SAME) {
		return RULES_NONE;
	}
	return (uint32_t)row->cfa_offset | slot << 18 | (row->cfa_reg == REGS_BP);
}

void rules_add(uintptr_t pc, const struct cfi_row *row)
{
	uint32_t rule = make_rule(row);

	if (rule != RULES_NONE && pc >> SLOT_BITS >> (64 - RULE_BITS) == 0)
		atomic_store_explicit(find_word(pc),
				      (uint64_t)(pc >> SLOT_BITS) << RULE_BITS | rule,
				      memory_order_relaxed);
}
