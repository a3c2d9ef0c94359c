/* All rules speak of the registers before the step, so these are kept aside; a failed step puts
 * them back. */
#include "sampler/dwarf.h"
#include "sampler/expr.h"

struct step {
	const struct cfi_object *object;
	const struct cfi_row    *row;
	const struct regs       *was;
	struct expr_inputs       inputs;
	uintptr_t                cfa;
};

static bool is_known(const struct regs *regs, unsigned n)
{
	return n < REGS_COUNT && (regs->known >> n & 1);
}

/* The expression at this place: bytes from the start of the object's tables. */
static bool evaluate(const struct step *s, int32_t place, const uintptr_t *first, uintptr_t *value)
{
	struct dwarf code = { .at = s->object->lo + place, .end = s->object->hi };
	uint64_t length = dwarf_uleb(&code);

	if (code.bad || length > dwarf_left(&code))
		return false;
	code.end = code.at + length;
	return expr_value(code, &s->inputs, first, value);
}

static bool find_cfa(struct step *s)
{
	const struct cfi_row *row = s->row;

	if (row->cfa_is_expr)
		return evaluate(s, row->cfa_expr, NULL, &s->cfa);
	if (!is_known(s->was, row->cfa_reg))
		return false;
	s->cfa = s->was->r[row->cfa_reg] + (uintptr_t)row->cfa_offset;
	return true;
}

/* Where a function keeps its caller's registers is inside its frame.  If the rule leads elsewhere,
 * it is that of an epilogue, where gcc forgets to say that the register has been popped: below sp,
 * or, with an expression on rbp (a realigned stack, after leave), in the caller's frame.  The red
 * zone of what was interrupted can be read, and is right either way. */
static bool is_popped(const struct step *s, unsigned n, uintptr_t at)
{
	if (n == REGS_SP || n == REGS_PC || s->row->signal_frame || !is_known(s->was, n))
		return false;
	return at < s->was->r[REGS_SP] || (s->row->reg[n].how == CFI_EXPR && at >= s->cfa);
}

static bool load_by_expression(const struct step *s, unsigned n, uintptr_t *value)
{
	uintptr_t at;

	if (!evaluate(s, s->row->reg[n].offset, &s->cfa, &at))
		return false;
	if (at >= s->cfa && is_popped(s, n, at))
		return true;
	return s->inputs.load(s->inputs.of, at, value) || is_popped(s, n, at);
}

/* *value is the register's own so far.  False: it cannot be had. */
static bool find_register(const struct step *s, unsigned n, uintptr_t *value)
{
	const struct cfi_reg_rule *rule = &s->row->reg[n];
	uintptr_t at = s->cfa + (uintptr_t)(intptr_t)rule->offset;

	switch (rule->how) {
	case CFI_OFFSET:
		return s->inputs.load(s->inputs.of, at, value) || is_popped(s, n, at);
	case CFI_VAL_OFFSET:
		*value = at;
		return true;
	case CFI_REGISTER:
		*value = s->was->r[rule->reg];
		return is_known(s->was, rule->reg);
	case CFI_EXPR:
		return load_by_expression(s, n, value);
	case CFI_VAL_EXPR:
		return evaluate(s, rule->offset, &s->cfa, value);
	case CFI_SAME:
		return is_known(s->was, n);
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

bool cfi_step(const struct cfi_object *object, const struct cfi_row *row, struct regs *regs,
	      cfi_load load, void *of)
{
	const struct regs was = *regs;
	struct step s = {
		.object = object, .row = row, .was = &was,
		.inputs = { .regs = &was, .load = load, .of = of },
	};

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
	*regs = was;
	return false;
}
