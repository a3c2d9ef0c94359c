/* Looking ahead of a walk: what of the last look-up is kept, what that is good for, and that
 * nothing is read which a walk may not read. */
#include "sampler/unwind_ahead.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "sampler/rules.h"
#include "test/unit/unwind_stage.h"

/* What the functions with tables come down to: PUSHED as it is, but no red zone in the second. */
static struct row row[] = {
	{ PUSHED, RULES_SP | 16 | 2u << 18 },
	{ RED_ZONE, RULES_SP | 32 },
	{ OUTERMOST, RULES_END },
};
static uint32_t blocks[] = { 0, 1, 2, 2 };
static const struct rows rows = { .first = PUSHED, .limit = 0x600, .count = 3, .index = blocks,
				  .row = row };
static struct tables tables;

/* As the rows of a fork child that nobody told us of. */
static struct row wiped_row[3];
static uint32_t wiped_blocks[4];
static const struct rows wiped = { .first = PUSHED, .limit = 0x600, .count = 3,
				   .index = wiped_blocks, .row = wiped_row };

static int start_anew(void **state)
{
	memset((void *)(uintptr_t)rules_word, 0, sizeof(rules_word));
	memset(&work, 0, sizeof(work));
	tables.rows = &rows;
	stage_tables = &tables;
	stage_permanent = true;
	return start(state);
}

static void walk(uintptr_t from)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };
	struct regs regs = { .r = { [REGS_PC] = from, [REGS_SP] = at(100) }, .known = 0x1ffff };

	stack[101] = IMAGE_CODE + PUSHED + 5;
	stack[103] = IMAGE_CODE + OUTERMOST + 9;
	unwind_look_ahead(&work, NULL, &regs, &bounds);
	assert_int_equal(unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, NULL, pc, FRAMES_MAX,
				      &depth), UNWIND_COMPLETE);
}

static void the_object_of_the_last_look_up_is_not_looked_for(void **state)
{
	(void)state;
	walk(IMAGE_CODE + PUSHED);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + PUSHED + 4, IMAGE_CODE + OUTERMOST + 8);
	assert_int_equal(lookups, 1);
	memset((void *)(uintptr_t)rules_word, 0, sizeof(rules_word));
	walk(IMAGE_CODE + PUSHED + 1);
	CHECK_STACK(IMAGE_CODE + PUSHED + 1, IMAGE_CODE + PUSHED + 4, IMAGE_CODE + OUTERMOST + 8);
	assert_int_equal(lookups, 1);
	/* And what was found is a rule as any other. */
	assert_int_equal(rules_find(IMAGE_CODE + PUSHED + 4), row[0].rule);
}

static void what_may_be_unloaded_is_looked_for_each_time(void **state)
{
	(void)state;
	stage_permanent = false;
	walk(IMAGE_CODE + PUSHED);
	assert_int_equal(lookups, 3);
	assert_false(unwind_is_near(&work.near, IMAGE_CODE + PUSHED));
	walk(IMAGE_CODE + PUSHED);
	assert_int_equal(lookups, 6);
}

static void code_beside_the_object_is_not_near(void **state)
{
	(void)state;
	walk(IMAGE_CODE + PUSHED);
	assert_true(unwind_is_near(&work.near, IMAGE_CODE));
	assert_true(unwind_is_near(&work.near, IMAGE_CODE + 0xfff));
	assert_false(unwind_is_near(&work.near, IMAGE_CODE - 1));
	assert_false(unwind_is_near(&work.near, IMAGE_CODE + 0x1000));
	assert_false(unwind_is_near(&(struct unwind_near){ 0 }, 0));
}

/* The tables themselves are asked then. */
static void wiped_rows_say_nothing(void **state)
{
	(void)state;
	walk(IMAGE_CODE + PUSHED);
	memset((void *)(uintptr_t)rules_word, 0, sizeof(rules_word));
	work.near.rows = wiped;
	tables.rows = &wiped;
	walk(IMAGE_CODE + PUSHED + 1);
	CHECK_STACK(IMAGE_CODE + PUSHED + 1, IMAGE_CODE + PUSHED + 4, IMAGE_CODE + OUTERMOST + 8);
	assert_int_equal(rules_find(IMAGE_CODE + PUSHED + 4), row[0].rule);
	assert_int_equal(rules_find(IMAGE_CODE + OUTERMOST + 8), RULES_END);
}

/* Beyond it are guard pages. */
static void nothing_is_read_beside_the_stack(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };
	static const struct unwind_stack_bounds none;
	struct regs regs = { .r = { [REGS_PC] = IMAGE_CODE + PUSHED }, .known = 0x1ffff };

	(void)state;
	walk(IMAGE_CODE + PUSHED);
	for (unsigned left = 0; left < UNWIND_AHEAD_BYTES / 8 + 8; left++) {
		regs.r[REGS_SP] = at(STACK_WORDS - left);
		unwind_look_ahead(&work, NULL, &regs, &bounds);
	}
	regs.r[REGS_SP] = at(STACK_WORDS - 2) + 1;
	unwind_look_ahead(&work, NULL, &regs, &bounds);
	regs.r[REGS_SP] = at(0) - 4096;
	unwind_look_ahead(&work, NULL, &regs, &bounds);
	unwind_look_ahead(&work, NULL, &regs, &none);
	bounds.lo = 0;  /* unknown: below hi there may be anything */
	unwind_look_ahead(&work, NULL, &regs, &bounds);
	bounds.lo = at(0);
	regs.r[REGS_SP] = UINTPTR_MAX - 7;
	unwind_look_ahead(&work, NULL, &regs, &bounds);
}

/* Rows need not be of all code of an object. */
static void code_without_rows_has_none_to_fetch(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };
	struct regs regs = { .r = { [REGS_SP] = at(100) }, .known = 0x1ffff };

	(void)state;
	walk(IMAGE_CODE + PUSHED);
	assert_null(rows_block(&rows, 0x600));
	assert_ptr_equal(rows_block(&rows, 0x5ff), &blocks[2]);
	assert_ptr_equal(rows_block(&rows, 0), &blocks[0]);
	work.near.rows.index = NULL;
	regs.r[REGS_PC] = IMAGE_CODE + 0x600;
	unwind_look_ahead(&work, NULL, &regs, &bounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup(f, start_anew)
		TEST(the_object_of_the_last_look_up_is_not_looked_for),
		TEST(what_may_be_unloaded_is_looked_for_each_time),
		TEST(code_beside_the_object_is_not_near),
		TEST(wiped_rows_say_nothing),
		TEST(nothing_is_read_beside_the_stack),
		TEST(code_without_rows_has_none_to_fetch),
#undef TEST
	};

	return cmocka_run_group_tests(tests, make_stack, NULL);
}
