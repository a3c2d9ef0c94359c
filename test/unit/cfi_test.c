/* What each call frame operation does to a row, and that senseless programs are refused. */
#include "sampler/cfi_find.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "test/unit/cfi_image.h"

enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12, RA = 16 };

static struct image image;
static struct cfi_work work;

/* The row at IMAGE_CODE + at of a function with these operations. */
static bool find(struct ops cie, struct ops fde, uint32_t at)
{
	struct cfi_object object;

	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, cie);
	image_fde(&image, IMAGE_CODE, 0x100000, fde);
	image_end(&image);
	object = image_place(&image, image.n, true);
	return cfi_find_row(&object, IMAGE_CODE + at, &work);
}

static bool row_at(struct ops fde, uint32_t at) { return find(ENTRY_OPS, fde, at); }

static enum cfi_how how(unsigned reg)
{
	return work.row.ruled >> reg & 1 ? (enum cfi_how)work.row.reg[reg].how : CFI_SAME;
}

#define CHECK_CFA(reg_, offset_)                                        \
	do {                                                            \
		assert_false(work.row.cfa_is_expr);                     \
		assert_int_equal(work.row.cfa_reg, reg_);               \
		assert_int_equal(work.row.cfa_offset, offset_);         \
	} while (0)

#define CHECK_SLOT(reg_, how_, offset_)                                 \
	do {                                                            \
		assert_int_equal(how(reg_), how_);                      \
		assert_int_equal(work.row.reg[reg_].offset, offset_);   \
	} while (0)

static void the_entry_of_a_function_has_the_initial_row(void **state)
{
	(void)state;
	assert_true(row_at(OPS(0x41, 0x0e, 16, 0x86, 2), 0));
	CHECK_CFA(RSP, 8);
	CHECK_SLOT(RA, CFI_OFFSET, -8);
	assert_int_equal(how(RBP), CFI_SAME);
	assert_int_equal(work.row.function_start, IMAGE_CODE);
	assert_int_equal(work.row.function_end, IMAGE_CODE + 0x100000);
	assert_false(work.row.signal_frame);
}

static void a_row_holds_from_its_address_on(void **state)
{
	struct ops ops = OPS(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6);

	(void)state;
	assert_true(row_at(ops, 1));
	CHECK_CFA(RSP, 16);
	CHECK_SLOT(RBP, CFI_OFFSET, -16);
	assert_true(row_at(ops, 3));
	CHECK_CFA(RSP, 16);
	assert_true(row_at(ops, 4));
	CHECK_CFA(RBP, 16);
}

static void locations_advance_by_every_kind_of_delta(void **state)
{
	struct ops ops = OPS(0x02, 200, 0x0e, 16, 0x03, 0x00, 0x10, 0x0e, 24,
			     0x04, 0x00, 0x00, 0x08, 0x00, 0x0e, 32);

	(void)state;
	assert_true(row_at(ops, 199));
	CHECK_CFA(RSP, 8);
	assert_true(row_at(ops, 200));
	CHECK_CFA(RSP, 16);
	assert_true(row_at(ops, 200 + 0x1000));
	CHECK_CFA(RSP, 24);
	assert_true(row_at(ops, 200 + 0x1000 + 0x80000));
	CHECK_CFA(RSP, 32);
}

static void deltas_are_in_units_of_the_code_alignment(void **state)
{
	struct cfi_object object;

	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 4, 0x7c, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x100, OPS(0x42, 0x0e, 16, 0x86, 2));
	image_end(&image);
	object = image_place(&image, image.n, true);
	assert_true(cfi_find_row(&object, IMAGE_CODE + 7, &work));
	CHECK_CFA(RSP, 8);
	assert_true(cfi_find_row(&object, IMAGE_CODE + 8, &work));
	CHECK_CFA(RSP, 16);
	CHECK_SLOT(RBP, CFI_OFFSET, -8);
	CHECK_SLOT(RA, CFI_OFFSET, -4);
}

static void set_loc_takes_an_address(void **state)
{
	struct cfi_object object;
	uint32_t delta;
	size_t at;

	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x100, OPS(0x01, 0, 0, 0, 0, 0x0e, 16));
	at = image.n - 6;
	delta = IMAGE_CODE + 0x20 - (IMAGE_BASE + (uint32_t)at);
	memcpy(image.bytes + at, &delta, sizeof(delta));
	image_end(&image);
	object = image_place(&image, image.n, true);
	assert_true(cfi_find_row(&object, IMAGE_CODE + 0x1f, &work));
	CHECK_CFA(RSP, 8);
	assert_true(cfi_find_row(&object, IMAGE_CODE + 0x20, &work));
	CHECK_CFA(RSP, 16);
}

static void the_cfa_is_defined_in_every_way(void **state)
{
	(void)state;
	assert_true(row_at(OPS(0x0c, 10, 0x80, 0x01), 0));      /* def_cfa */
	CHECK_CFA(10, 128);
	assert_true(row_at(OPS(0x12, 6, 0x7e), 0));             /* def_cfa_sf */
	CHECK_CFA(RBP, 16);
	assert_true(row_at(OPS(0x13, 0x7d), 0));                /* def_cfa_offset_sf */
	CHECK_CFA(RSP, 24);
	assert_true(row_at(OPS(0x0d, 3), 0));                   /* def_cfa_register */
	CHECK_CFA(RBX, 8);
	assert_true(row_at(OPS(0x0f, 2, 0x77, 8), 0));          /* def_cfa_expression */
	assert_true(work.row.cfa_is_expr);
	assert_int_equal(image.bytes[work.row.cfa_expr], 2);
}

static void a_register_after_a_cfa_expression_goes_with_the_offset_before_it(void **state)
{
	(void)state;
	assert_true(row_at(OPS(0x0e, 56, 0x0f, 2, 0x77, 8, 0x41, 0x0d, 7), 1));
	CHECK_CFA(RSP, 56);
}

static void registers_get_every_kind_of_rule(void **state)
{
	(void)state;
	assert_true(row_at(OPS(0x05, 6, 2), 0));                /* offset_extended */
	CHECK_SLOT(RBP, CFI_OFFSET, -16);
	assert_true(row_at(OPS(0x11, 6, 0x7f), 0));             /* offset_extended_sf */
	CHECK_SLOT(RBP, CFI_OFFSET, 8);
	assert_true(row_at(OPS(0x2f, 6, 2), 0));                /* GNU_negative_offset_extended */
	CHECK_SLOT(RBP, CFI_OFFSET, 16);
	assert_true(row_at(OPS(0x14, 6, 3), 0));                /* val_offset */
	CHECK_SLOT(RBP, CFI_VAL_OFFSET, -24);
	assert_true(row_at(OPS(0x15, 6, 0x7e), 0));             /* val_offset_sf */
	CHECK_SLOT(RBP, CFI_VAL_OFFSET, 16);
	assert_true(row_at(OPS(0x09, 6, 12), 0));               /* register */
	assert_int_equal(how(RBP), CFI_REGISTER);
	assert_int_equal(work.row.reg[RBP].reg, R12);
	assert_true(row_at(OPS(0x07, 16), 0));                  /* undefined */
	assert_int_equal(how(RA), CFI_UNDEFINED);
	assert_true(row_at(OPS(0x86, 2, 0x08, 6), 0));          /* same_value */
	assert_int_equal(how(RBP), CFI_SAME);
	assert_true(row_at(OPS(0x10, 6, 1, 0x30), 0));          /* expression */
	assert_int_equal(how(RBP), CFI_EXPR);
	assert_int_equal(image.bytes[work.row.reg[RBP].offset], 1);
	assert_true(row_at(OPS(0x16, 6, 1, 0x30), 0));          /* val_expression */
	assert_int_equal(how(RBP), CFI_VAL_EXPR);
}

static void restore_gives_the_initial_rule_back(void **state)
{
	struct ops cie = OPS(0x0c, 7, 8, 0x90, 1, 0x83, 4);

	(void)state;
	assert_true(find(cie, OPS(0x83, 2, 0x86, 3, 0xc3, 0xc6), 0));
	CHECK_SLOT(RBX, CFI_OFFSET, -32);
	assert_int_equal(how(RBP), CFI_SAME);
	assert_true(find(cie, OPS(0x83, 2, 0x86, 3, 0x06, 3, 0x06, 6), 0));
	CHECK_SLOT(RBX, CFI_OFFSET, -32);
	assert_int_equal(how(RBP), CFI_SAME);
}

static void states_nest(void **state)
{
	struct ops ops = OPS(0x0a, 0x0e, 16, 0x0a, 0x0e, 24, 0x86, 3, 0x41, 0x0b, 0x41, 0x0b);

	(void)state;
	assert_true(row_at(ops, 0));
	CHECK_CFA(RSP, 24);
	CHECK_SLOT(RBP, CFI_OFFSET, -24);
	assert_true(row_at(ops, 1));
	CHECK_CFA(RSP, 16);
	assert_int_equal(how(RBP), CFI_SAME);
	assert_true(row_at(ops, 2));
	CHECK_CFA(RSP, 8);
}

static void what_does_not_concern_us_is_stepped_over(void **state)
{
	(void)state;
	/* GNU_args_size; rules of vector registers; a register saved in one. */
	assert_true(row_at(OPS(0x2e, 0x90, 0x01, 0x00, 0x91, 4, 0x05, 33, 2, 0x10, 40, 1, 0x30,
			       0xd1, 0x06, 33, 0x09, 34, 6, 0x0e, 16), 0));
	CHECK_CFA(RSP, 16);
	assert_int_equal(work.row.ruled, 1u << RA);
	assert_true(row_at(OPS(0x09, 6, 17), 0));
	assert_int_equal(how(RBP), CFI_UNDEFINED);
}

static void senseless_programs_are_refused(void **state)
{
	(void)state;
	assert_false(row_at(OPS(0x0b), 0));                             /* nothing remembered */
	assert_false(row_at(OPS(0x0a, 0x0a, 0x0a, 0x0a, 0x0a), 0));     /* too deep */
	assert_false(row_at(OPS(0x17), 0));                             /* no such operation */
	assert_false(row_at(OPS(0x3f, 0), 0));
	assert_false(row_at(OPS(0x0c, 17, 8), 0));                      /* CFA from xmm0 */
	assert_false(row_at(OPS(0x0f, 100, 0x77), 0));                  /* expression too long */
	assert_false(row_at(OPS(0x05, 6, 0xff, 0xff, 0xff, 0xff, 0x0f), 0));    /* 32 GiB off */
	assert_false(row_at(OPS(0x0e, 0x80), 0));                       /* cut short */
	assert_false(row_at(OPS(0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
				0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1), 0));
	assert_false(find(OPS(0x0c, 7, 8, 0xc6), NO_OPS, 0));           /* restore in a CIE */
}

static void what_comes_after_the_pc_does_not_matter(void **state)
{
	(void)state;
	assert_true(row_at(OPS(0x0e, 16, 0x42, 0x3f), 1));
	CHECK_CFA(RSP, 16);
	assert_false(row_at(OPS(0x0e, 16, 0x42, 0x3f), 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_entry_of_a_function_has_the_initial_row),
		cmocka_unit_test(a_row_holds_from_its_address_on),
		cmocka_unit_test(locations_advance_by_every_kind_of_delta),
		cmocka_unit_test(deltas_are_in_units_of_the_code_alignment),
		cmocka_unit_test(set_loc_takes_an_address),
		cmocka_unit_test(the_cfa_is_defined_in_every_way),
		cmocka_unit_test(a_register_after_a_cfa_expression_goes_with_the_offset_before_it),
		cmocka_unit_test(registers_get_every_kind_of_rule),
		cmocka_unit_test(restore_gives_the_initial_rule_back),
		cmocka_unit_test(states_nest),
		cmocka_unit_test(what_does_not_concern_us_is_stepped_over),
		cmocka_unit_test(senseless_programs_are_refused),
		cmocka_unit_test(what_comes_after_the_pc_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
