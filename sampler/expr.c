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

static void push(struct expr *e, uint64_t v)
{
	if (e->n < CFI_EXPR_STACK)
		e->values[e->n++] = v;
	else
		e->bad = true;
}

static uint64_t pop(struct expr *e)
{
	if (e->n > 0)
		return e->values[--e->n];
	e->bad = true;
	return 0;
}

/* The value at this depth, 0 the top. */
static uint64_t peek(struct expr *e, unsigned depth)
{
	if (depth < e->n)
		return e->values[e->n - 1 - depth];
	e->bad = true;
	return 0;
}

static void push_register(struct expr *e, uint64_t reg)
{
	int64_t offset = dwarf_sleb(&e->code);

	if (reg >= REGS_COUNT || !(e->regs->known >> reg & 1)) {
		e->bad = true;
		return;
	}
	push(e, e->regs->r[reg] + (uint64_t)offset);
}

static void push_loaded(struct expr *e)
{
	uintptr_t v = 0;

	if (!e->load(e->of, pop(e), &v))
		e->bad = true;
	push(e, v);
}

static bool run_constant(struct expr *e, uint8_t op)
{
	struct dwarf *code = &e->code;

	if (op >= OP_LIT0 && op <= OP_LIT31) {
		push(e, op - OP_LIT0);
		return true;
	}
	switch (op) {
	case OP_CONST1U: push(e, dwarf_u8(code)); return true;
	case OP_CONST1S: push(e, (uint64_t)(int64_t)dwarf_s8(code)); return true;
	case OP_CONST2U: push(e, dwarf_u16(code)); return true;
	case OP_CONST2S: push(e, (uint64_t)(int64_t)dwarf_s16(code)); return true;
	case OP_CONST4U: push(e, dwarf_u32(code)); return true;
	case OP_CONST4S: push(e, (uint64_t)(int64_t)dwarf_s32(code)); return true;
	case OP_CONST8U:
	case OP_CONST8S: push(e, dwarf_u64(code)); return true;
	case OP_CONSTU:  push(e, dwarf_uleb(code)); return true;
	case OP_CONSTS:  push(e, (uint64_t)dwarf_sleb(code)); return true;
	}
	return false;
}

static bool run_stack(struct expr *e, uint8_t op)
{
	uint64_t a, b, c;

	switch (op) {
	case OP_NOP:  return true;
	case OP_DUP:  push(e, peek(e, 0)); return true;
	case OP_DROP: pop(e); return true;
	case OP_OVER: push(e, peek(e, 1)); return true;
	case OP_PICK: push(e, peek(e, dwarf_u8(&e->code))); return true;
	case OP_SWAP:
		a = pop(e);
		b = pop(e);
		push(e, a);
		push(e, b);
		return true;
	case OP_ROT:
		a = pop(e);
		b = pop(e);
		c = pop(e);
		push(e, a);
		push(e, c);
		push(e, b);
		return true;
	}
	return false;
}

static bool run_unary(struct expr *e, uint8_t op)
{
	switch (op) {
	case OP_DEREF: push_loaded(e); return true;
	case OP_NEG:   push(e, -pop(e)); return true;
	case OP_NOT:   push(e, ~pop(e)); return true;
	case OP_PLUS_UCONST: push(e, pop(e) + dwarf_uleb(&e->code)); return true;
	case OP_ABS:
		if ((int64_t)peek(e, 0) < 0)
			push(e, -pop(e));
		return true;
	}
	return false;
}

/* Both operands are popped by the caller: a was below b. */
static bool run_binary(struct expr *e, uint8_t op, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case OP_AND:   push(e, a & b); return true;
	case OP_OR:    push(e, a | b); return true;
	case OP_XOR:   push(e, a ^ b); return true;
	case OP_PLUS:  push(e, a + b); return true;
	case OP_MINUS: push(e, a - b); return true;
	case OP_MUL:   push(e, a * b); return true;
	case OP_SHL:   push(e, b < 64 ? a << b : 0); return true;
	case OP_SHR:   push(e, b < 64 ? a >> b : 0); return true;
	case OP_SHRA:  push(e, (uint64_t)(sa >> (b < 64 ? b : 63))); return true;
	case OP_EQ:    push(e, sa == sb); return true;
	case OP_GE:    push(e, sa >= sb); return true;
	case OP_GT:    push(e, sa > sb); return true;
	case OP_LE:    push(e, sa <= sb); return true;
	case OP_LT:    push(e, sa < sb); return true;
	case OP_NE:    push(e, sa != sb); return true;
	}
	return false;
}

static void run_one(struct expr *e)
{
	uint8_t op = dwarf_u8(&e->code);
	uint64_t a, b;

	if (op >= OP_BREG0 && op <= OP_BREG31) {
		push_register(e, op - OP_BREG0);
		return;
	}
	if (op == OP_BREGX) {
		push_register(e, dwarf_uleb(&e->code));
		return;
	}
	if (run_constant(e, op) || run_unary(e, op) || run_stack(e, op))
		return;
	b = pop(e);
	a = pop(e);
	if (!run_binary(e, op, a, b))
		e->bad = true;
}

bool expr_value(struct expr *e, const uintptr_t *first, uintptr_t *value)
{
	e->n = 0;
	e->bad = false;
	if (first != NULL)
		push(e, *first);
	for (unsigned left = CFI_EXPR_OPS_MAX; e->code.at < e->code.end && !e->bad; left--) {
		if (left == 0)
			return false;
		run_one(e);
	}
	if (e->n == 0)
		e->bad = true;
	*value = pop(e);
	return !e->bad && !e->code.bad;
}
