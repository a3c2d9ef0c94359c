/* All rules speak of the registers before the step, so these are kept aside; a failed step puts
 * them back. */
#include "sampler/dwarf.h"
#include "sampler/expr.h"

struct step {
	const struct cfi_object *object;
	struct cfi_work         *work;
	uintptr_t                cfa;
};

static bool is_known(const struct regs *regs, unsigned n)
{
	return n < REGS_COUNT && (regs->known >> n & 1);
}

static bool load(const struct step *s, uintptr_t at, uintptr_t *value)
{
	return s->work->expr.load(s->work->expr.of, at, value);
}

/* The expression at this place: bytes from the start of the object's tables. */
static bool evaluate(const struct step *s, int32_t place, const uintptr_t *first, uintptr_t *value)
{
	struct dwarf *code = &s->work->expr.code;
	uint64_t length;

	*code = (struct dwarf){ .at = s->object->lo + place, .end = s->object->hi };
	length = dwarf_uleb(code);
	if (code->bad || length > dwarf_left(code))
		return false;
	code->end = code->at + length;
	return expr_value(&s->work->expr, first, value);
}

static bool find_cfa(struct step *s)
{
	const struct cfi_row *row = &s->work->row;

	if (row->cfa_is_expr)
		return evaluate(s, row->cfa_expr, NULL, &s->cfa);
	if (!is_known(&s->work->was, row->cfa_reg))
		return false;
	s->cfa = s->work->was.r[row->cfa_reg] + (uintptr_t)row->cfa_offset;
	return true;
}

/* Where a function keeps its caller's registers is inside its frame.  If the rule leads elsewhere,
 * it is that of an epilogue, where gcc forgets to say that the register has been popped: below sp,
 * or, with an expression on rbp (a realigned stack, after leave), in the caller's frame.  The red
 * zone of what was interrupted can be read, and is right either way. */
static bool is_popped(const struct step *s, unsigned n, uintptr_t at)
{
	const struct cfi_row *row = &s->work->row;

	if (n == REGS_SP || n == REGS_PC || row->signal_frame || !is_known(&s->work->was, n))
		return false;
	return at < s->work->was.r[REGS_SP] || (row->reg[n].how == CFI_EXPR && at >= s->cfa);
}

static bool load_by_expression(const struct step *s, unsigned n, uintptr_t *value)
{
	uintptr_t at;

	if (!evaluate(s, s->work->row.reg[n].offset, &s->cfa, &at))
		return false;
	if (at >= s->cfa && is_popped(s, n, at))
		return true;
	return load(s, at, value) || is_popped(s, n, at);
}

/* *value is the register's own so far.  False: it cannot be had. */
static bool find_register(const struct step *s, unsigned n, uintptr_t *value)
{
	const struct cfi_reg_rule *rule = &s->work->row.reg[n];
	uintptr_t at = s->cfa + (uintptr_t)(intptr_t)rule->offset;

	switch (rule->how) {
	case CFI_OFFSET:
		return load(s, at, value) || is_popped(s, n, at);
	case CFI_VAL_OFFSET:
		*value = at;
		return true;
	case CFI_REGISTER:
		*value = s->work->was.r[rule->reg];
		return is_known(&s->work->was, rule->reg);
	case CFI_EXPR:
		return load_by_expression(s, n, value);
	case CFI_VAL_EXPR:
		return evaluate(s, rule->offset, &s->cfa, value);
	case CFI_SAME:
		return is_known(&s->work->was, n);
	}
	return false;
}

/* True too where the row says that there is none: an undefined return address.  An unchanged one
 * would be the same frame again. */
static bool has_caller(const struct cfi_row *row, const struct regs *regs)
{
	uint8_t how = row->reg[REGS_PC].how;

	if (!(row->ruled >> REGS_PC & 1) || how == CFI_SAME)
		return false;
	return is_known(regs, REGS_SP) && (is_known(regs, REGS_PC) || how == CFI_UNDEFINED);
}

bool cfi_step(const struct cfi_object *object, struct cfi_work *work, struct regs *regs,
	      cfi_load load_word, void *of)
{
	const struct cfi_row *row = &work->row;
	struct step s = { .object = object, .work = work };

	work->was = *regs;
	work->expr.regs = &work->was;
	work->expr.load = load_word;
	work->expr.of = of;
	if (!find_cfa(&s))
		return false;
	regs->r[REGS_SP] = s.cfa;
	regs->known |= 1u << REGS_SP;
	for (uint32_t left = row->ruled; left != 0; left &= left - 1) {
		unsigned n = (unsigned)__builtin_ctz(left);

		if (find_register(&s, n, &regs->r[n]))
			regs->known |= 1u << n;
		else
			regs->known &= ~(1u << n);
	}
	if (has_caller(row, regs))
		return true;
	*regs = work->was;
	return false;
}
