/* A few operations per expression, so plain switches, split by kind: constants, registers, the
 * stack's own, arithmetic.  Names and numbers of operations: DWARF 5 section 7.7.1. */
#include "sampler/expr.h"

enum {
	OP_DEREF = 0x06, OP_CONST1U = 0x08, OP_CONST1S, OP_CONST2U, OP_CONST2S, OP_CONST4U,
	OP_CONST4S, OP_CONST8U, OP_CONST8S, OP_CONSTU, OP_CONSTS, OP_DUP, OP_DROP, OP_OVER, OP_PICK,
	OP_SWAP, OP_ROT,
	OP_ABS = 0x19, OP_AND, OP_MINUS = 0x1c, OP_MUL = 0x1e, OP_NEG, OP_NOT, OP_OR, OP_PLUS,
	OP_PLUS_UCONST, OP_SHL, OP_SHR, OP_SHRA, OP_XOR,
	OP_EQ = 0x29, OP_GE, OP_GT, OP_LE, OP_LT, OP_NE,
	OP_LIT0 = 0x30, OP_LIT31 = 0x4f, OP_BREG0 = 0x70, OP_BREG31 = 0x8f, OP_BREGX = 0x92,
	OP_NOP = 0x96,
};

/* low: values[0..n), the top is values[n - 1].  bad is set once and stays. */
struct machine {
	const struct expr_inputs *in;
	struct dwarf code;
	unsigned     n;
	bool         bad;
	uint64_t     values[CFI_EXPR_STACK];
};

static void push(struct machine *m, uint64_t v)
{
	if (m->n < CFI_EXPR_STACK)
		m->values[m->n++] = v;
	else
		m->bad = true;
}

static uint64_t pop(struct machine *m)
{
	if (m->n > 0)
		return m->values[--m->n];
	m->bad = true;
	return 0;
}

/* The value at this depth, 0 the top. */
static uint64_t peek(struct machine *m, unsigned depth)
{
	if (depth < m->n)
		return m->values[m->n - 1 - depth];
	m->bad = true;
	return 0;
}

static void push_register(struct machine *m, uint64_t reg)
{
	int64_t offset = dwarf_sleb(&m->code);

	if (reg >= REGS_COUNT || !(m->in->regs->known >> reg & 1)) {
		m->bad = true;
		return;
	}
	push(m, m->in->regs->r[reg] + (uint64_t)offset);
}

static void push_loaded(struct machine *m)
{
	uintptr_t v = 0;

	if (!m->in->load(m->in->of, pop(m), &v))
		m->bad = true;
	push(m, v);
}

static bool run_constant(struct machine *m, uint8_t op)
{
	struct dwarf *code = &m->code;

	if (op >= OP_LIT0 && op <= OP_LIT31) {
		push(m, op - OP_LIT0);
		return true;
	}
	switch (op) {
	case OP_CONST1U: push(m, dwarf_u8(code)); return true;
	case OP_CONST1S: push(m, (uint64_t)(int64_t)dwarf_s8(code)); return true;
	case OP_CONST2U: push(m, dwarf_u16(code)); return true;
	case OP_CONST2S: push(m, (uint64_t)(int64_t)dwarf_s16(code)); return true;
	case OP_CONST4U: push(m, dwarf_u32(code)); return true;
	case OP_CONST4S: push(m, (uint64_t)(int64_t)dwarf_s32(code)); return true;
	case OP_CONST8U:
	case OP_CONST8S: push(m, dwarf_u64(code)); return true;
	case OP_CONSTU:  push(m, dwarf_uleb(code)); return true;
	case OP_CONSTS:  push(m, (uint64_t)dwarf_sleb(code)); return true;
	}
	return false;
}

static bool run_stack(struct machine *m, uint8_t op)
{
	uint64_t a, b, c;

	switch (op) {
	case OP_NOP:  return true;
	case OP_DUP:  push(m, peek(m, 0)); return true;
	case OP_DROP: pop(m); return true;
	case OP_OVER: push(m, peek(m, 1)); return true;
	case OP_PICK: push(m, peek(m, dwarf_u8(&m->code))); return true;
	case OP_SWAP:
		a = pop(m);
		b = pop(m);
		push(m, a);
		push(m, b);
		return true;
	case OP_ROT:
		a = pop(m);
		b = pop(m);
		c = pop(m);
		push(m, a);
		push(m, c);
		push(m, b);
		return true;
	}
	return false;
}

static bool run_unary(struct machine *m, uint8_t op)
{
	switch (op) {
	case OP_DEREF: push_loaded(m); return true;
	case OP_NEG:   push(m, -pop(m)); return true;
	case OP_NOT:   push(m, ~pop(m)); return true;
	case OP_PLUS_UCONST: push(m, pop(m) + dwarf_uleb(&m->code)); return true;
	case OP_ABS:
		if ((int64_t)peek(m, 0) < 0)
			push(m, -pop(m));
		return true;
	}
	return false;
}

/* Both operands are popped by the caller: a was below b. */
static bool run_binary(struct machine *m, uint8_t op, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case OP_AND:   push(m, a & b); return true;
	case OP_OR:    push(m, a | b); return true;
	case OP_XOR:   push(m, a ^ b); return true;
	case OP_PLUS:  push(m, a + b); return true;
	case OP_MINUS: push(m, a - b); return true;
	case OP_MUL:   push(m, a * b); return true;
	case OP_SHL:   push(m, b < 64 ? a << b : 0); return true;
	case OP_SHR:   push(m, b < 64 ? a >> b : 0); return true;
	case OP_SHRA:  push(m, (uint64_t)(sa >> (b < 64 ? b : 63))); return true;
	case OP_EQ:    push(m, sa == sb); return true;
	case OP_GE:    push(m, sa >= sb); return true;
	case OP_GT:    push(m, sa > sb); return true;
	case OP_LE:    push(m, sa <= sb); return true;
	case OP_LT:    push(m, sa < sb); return true;
	case OP_NE:    push(m, sa != sb); return true;
	}
	return false;
}

static void run_one(struct machine *m)
{
	uint8_t op = dwarf_u8(&m->code);
	uint64_t a, b;

	if (op >= OP_BREG0 && op <= OP_BREG31) {
		push_register(m, op - OP_BREG0);
		return;
	}
	if (op == OP_BREGX) {
		push_register(m, dwarf_uleb(&m->code));
		return;
	}
	if (run_constant(m, op) || run_unary(m, op) || run_stack(m, op))
		return;
	b = pop(m);
	a = pop(m);
	if (!run_binary(m, op, a, b))
		m->bad = true;
}

bool expr_value(struct dwarf code, const struct expr_inputs *in, const uintptr_t *first,
		uintptr_t *value)
{
	struct machine m;

	m.in = in;
	m.code = code;
	m.n = 0;
	m.bad = false;
	if (first != NULL)
		push(&m, *first);
	for (unsigned left = CFI_EXPR_OPS_MAX; m.code.at < m.code.end && !m.bad; left--) {
		if (left == 0)
			return false;
		run_one(&m);
	}
	if (m.n == 0)
		m.bad = true;
	*value = pop(&m);
	return !m.bad && !m.code.bad;
}
