/* DWARF expressions: each operation, the whole ones that real objects hold, and senseless ones. */
#include "sampler/expr.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "sampler/compiler.h"
#include "test/unit/cfi_image.h"

/* The only word that can be loaded. */
#define WORD_AT    0x7000u
#define WORD_VALUE 0x1234567890abcdefu

static bool load(void *of, uintptr_t at, uintptr_t *value)
{
	(void)of;
	*value = WORD_VALUE;
	return at == WORD_AT;
}

static const struct regs regs = {
	.r = { [0] = 0x100, [6] = 0x6ff8, [7] = 0x6000, [16] = 0x40050b },
	.known = 1 << 0 | 1 << 6 | 1 << 7 | 1 << 16,
};

static bool run(struct ops ops, const uintptr_t *first, uintptr_t *value)
{
	uint8_t *at = image_page() + 4096 - ops.n;
	struct expr e = { .code = { .at = at, .end = at + ops.n }, .regs = &regs, .load = load };

	memcpy(at, ops.bytes, ops.n);
	return expr_value(&e, first, value);
}

#define CHECK_VALUE(want, ...)                                          \
	do {                                                            \
		uintptr_t value_ = 0;                                   \
									\
		assert_true(run(OPS(__VA_ARGS__), NULL, &value_));      \
		assert_int_equal(value_, (uintptr_t)(want));            \
	} while (0)

#define CHECK_REFUSED(...)                                              \
	do {                                                            \
		uintptr_t value_;                                       \
									\
		assert_false(run(OPS(__VA_ARGS__), NULL, &value_));     \
	} while (0)

static void constants_have_their_values(void **state)
{
	(void)state;
	CHECK_VALUE(0, 0x30);
	CHECK_VALUE(31, 0x4f);
	CHECK_VALUE(0xfe, 0x08, 0xfe);
	CHECK_VALUE(-2, 0x09, 0xfe);
	CHECK_VALUE(0xfffe, 0x0a, 0xfe, 0xff);
	CHECK_VALUE(-2, 0x0b, 0xfe, 0xff);
	CHECK_VALUE(0xfffffffe, 0x0c, 0xfe, 0xff, 0xff, 0xff);
	CHECK_VALUE(-2, 0x0d, 0xfe, 0xff, 0xff, 0xff);
	CHECK_VALUE(-2, 0x0e, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
	CHECK_VALUE(1, 0x0f, 1, 0, 0, 0, 0, 0, 0, 0);
	CHECK_VALUE(300, 0x10, 0xac, 0x02);
	CHECK_VALUE(-300, 0x11, 0xd4, 0x7d);
	CHECK_VALUE(UINT64_MAX, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
	CHECK_VALUE(INT64_MIN, 0x11, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f);
}

static void registers_and_memory_are_read(void **state)
{
	(void)state;
	CHECK_VALUE(0x108, 0x70, 8);
	CHECK_VALUE(0xfc, 0x70, 0x7c);
	CHECK_VALUE(0x108, 0x92, 0, 8);
	CHECK_VALUE(WORD_VALUE, 0x76, 8, 0x06);
	CHECK_REFUSED(0x71, 0);                 /* rdx is not known */
	CHECK_REFUSED(0x81, 0);                 /* no such register */
	CHECK_REFUSED(0x92, 0x80, 0x01, 0);
	CHECK_REFUSED(0x76, 0, 0x06);           /* not readable */
}

static void the_stack_is_shuffled(void **state)
{
	(void)state;
	CHECK_VALUE(6, 0x33, 0x12, 0x22);                       /* 3 dup plus */
	CHECK_VALUE(1, 0x31, 0x32, 0x13);                       /* 1 2 drop */
	CHECK_VALUE(1, 0x31, 0x32, 0x14);                       /* 1 2 over */
	CHECK_VALUE(1, 0x31, 0x32, 0x33, 0x15, 2);              /* 1 2 3 pick 2 */
	CHECK_VALUE(1, 0x31, 0x32, 0x16);                       /* 1 2 swap */
	CHECK_VALUE(2, 0x31, 0x32, 0x33, 0x17);                 /* 1 2 3 rot: 3 1 2 */
	CHECK_VALUE(1, 0x31, 0x32, 0x33, 0x17, 0x13);
	CHECK_VALUE(3, 0x31, 0x32, 0x33, 0x17, 0x13, 0x13);
	CHECK_VALUE(5, 0x35, 0x96);                             /* nop */
}

static void arithmetic_is_done_in_64_bits(void **state)
{
	(void)state;
	CHECK_VALUE(4, 0x36, 0x3c, 0x1a);                       /* 6 & 12 */
	CHECK_VALUE(14, 0x36, 0x3c, 0x21);
	CHECK_VALUE(10, 0x36, 0x3c, 0x27);
	CHECK_VALUE(-6, 0x36, 0x3c, 0x1c);
	CHECK_VALUE(72, 0x36, 0x3c, 0x1e);
	CHECK_VALUE(18, 0x36, 0x3c, 0x22);
	CHECK_VALUE(306, 0x36, 0x23, 0xac, 0x02);
	CHECK_VALUE(-6, 0x36, 0x1f);
	CHECK_VALUE(~6, 0x36, 0x20);
	CHECK_VALUE(6, 0x36, 0x1f, 0x19);                       /* abs */
	CHECK_VALUE(6, 0x36, 0x19);
	CHECK_VALUE(48, 0x36, 0x33, 0x24);
	CHECK_VALUE(UINT64_MAX >> 4, 0x09, 0xff, 0x34, 0x25);
	CHECK_VALUE(-1, 0x09, 0xf0, 0x34, 0x26);
	CHECK_VALUE(0, 0x36, 0x08, 64, 0x24);                   /* shifted out */
	CHECK_VALUE(0, 0x36, 0x08, 64, 0x25);
	CHECK_VALUE(-1, 0x09, 0xf0, 0x08, 200, 0x26);
}

static void comparisons_are_signed(void **state)
{
	static const struct { uint8_t op; int less, equal, more; } cases[] = {
		{ 0x29, 0, 1, 0 }, { 0x2a, 0, 1, 1 }, { 0x2b, 0, 0, 1 }, { 0x2c, 1, 1, 0 },
		{ 0x2d, 1, 0, 0 }, { 0x2e, 1, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CHECK_VALUE(cases[i].less, 0x09, 0xff, 0x31, cases[i].op);
		CHECK_VALUE(cases[i].equal, 0x31, 0x31, cases[i].op);
		CHECK_VALUE(cases[i].more, 0x31, 0x09, 0xff, cases[i].op);
	}
}

/* CFA = rsp + 8 + ((rip & 15) >= 11) * 8: after its 11th byte an entry has pushed its number. */
static void the_expression_of_a_plt_counts_its_push(void **state)
{
	struct regs in_plt = regs;
	struct expr e = { .regs = &in_plt, .load = load };
	static const uint8_t ops[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22 };
	uintptr_t cfa;

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		e.code = (struct dwarf){ .at = ops, .end = ops + sizeof(ops) };
		in_plt.r[16] = 0x400500 + i;
		assert_true(expr_value(&e, NULL, &cfa));
		assert_int_equal(cfa, 0x6008 + (i >= 11 ? 8 : 0));
	}
}

static void the_first_value_is_given(void **state)
{
	uintptr_t first = 0x1000, value;

	(void)state;
	assert_true(run(NO_OPS, &first, &value));
	assert_int_equal(value, 0x1000);
	assert_true(run(OPS(0x23, 8), &first, &value));
	assert_int_equal(value, 0x1008);
	assert_false(run(NO_OPS, NULL, &value));
}

static void senseless_expressions_are_refused(void **state)
{
	(void)state;
	CHECK_REFUSED(0x22);                                    /* plus of nothing */
	CHECK_REFUSED(0x31, 0x22);
	CHECK_REFUSED(0x06);
	CHECK_REFUSED(0x31, 0x13);                              /* nothing left */
	CHECK_REFUSED(0x31, 0x15, 1);                           /* pick too deep */
	CHECK_REFUSED(0x31, 0x17);
	CHECK_REFUSED(0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30);
	CHECK_REFUSED(0x31, 0x2f, 0xfd, 0xff);                  /* skip: could loop */
	CHECK_REFUSED(0x31, 0x31, 0x1b);                        /* division */
	CHECK_REFUSED(0x0c, 1, 2, 3);                           /* cut short */
	CHECK_REFUSED(0x31, 0x23, 0x80);
	CHECK_REFUSED(0xff);
}

static void long_expressions_are_refused(void **state)
{
	static uint8_t nops[CFI_EXPR_OPS_MAX + 1];
	uintptr_t value;

	(void)state;
	memset(nops, 0x96, sizeof(nops));
	nops[0] = 0x31;
	assert_true(run((struct ops){ nops, CFI_EXPR_OPS_MAX }, NULL, &value));
	assert_false(run((struct ops){ nops, sizeof(nops) }, NULL, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_have_their_values),
		cmocka_unit_test(registers_and_memory_are_read),
		cmocka_unit_test(the_stack_is_shuffled),
		cmocka_unit_test(arithmetic_is_done_in_64_bits),
		cmocka_unit_test(comparisons_are_signed),
		cmocka_unit_test(the_expression_of_a_plt_counts_its_push),
		cmocka_unit_test(the_first_value_is_given),
		cmocka_unit_test(senseless_expressions_are_refused),
		cmocka_unit_test(long_expressions_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
