/* The walk, over stacks and tables that are made up: where it goes on, where it ends, and that it
 * reads nothing outside.  The modules and the kernel's answers are the test's own. */
#include "sampler/unwind.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "test/unit/unwind_stage.h"

/* From a pc, with sp at this word of the stack and this rbp, on a stack that is known. */
static enum unwind_end walk(uintptr_t from, unsigned sp, uintptr_t bp, enum unwind_mode mode)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };
	struct regs regs = {
		.r = { [REGS_PC] = from, [REGS_SP] = at(sp), [REGS_BP] = bp }, .known = 0x1ffff,
	};

	return unwind_stack(&regs, &bounds, mode, &work, NULL, pc, FRAMES_MAX, &depth);
}

static void a_stack_with_tables_is_walked_to_its_end(void **state)
{
	(void)state;
	stack[100] = 0xb9;
	stack[101] = IMAGE_CODE + PUSHED + 5;
	stack[103] = IMAGE_CODE + OUTERMOST + 9;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, 0, UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + PUSHED + 4, IMAGE_CODE + OUTERMOST + 8);
	assert_int_equal(probes, 0);
}

static void a_return_address_may_be_in_a_register(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };
	struct regs regs = {
		.r = { [REGS_PC] = IMAGE_CODE + POPPED + 8, [REGS_SP] = at(100),
		       [5] = IMAGE_CODE + PUSHED + 5 },
		.known = 0x1ffff,
	};

	(void)state;
	stack[101] = IMAGE_CODE + OUTERMOST + 9;
	assert_int_equal(unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, NULL, pc, FRAMES_MAX,
				      &depth), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + POPPED + 8, IMAGE_CODE + PUSHED + 4, IMAGE_CODE + OUTERMOST + 8);
}

static void a_call_at_the_end_of_a_function_belongs_to_it(void **state)
{
	(void)state;
	stack[101] = IMAGE_CODE + RED_ZONE;             /* the return address is the next one's */
	stack[103] = 0;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, 0, UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + RED_ZONE - 1);
}

static void frame_pointers_are_followed_where_no_table_is(void **state)
{
	(void)state;
	stack[110] = at(120);
	stack[111] = PLAIN_CODE + 5;
	stack[120] = 0;
	stack[121] = PLAIN_CODE + 9;
	assert_int_equal(walk(PLAIN_CODE, 100, at(110), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(PLAIN_CODE, PLAIN_CODE + 4, PLAIN_CODE + 8);
}

static void tables_and_frame_pointers_take_turns(void **state)
{
	(void)state;
	stack[110] = at(130);
	stack[111] = IMAGE_CODE + FRAMED + 5;
	stack[130] = at(140);
	stack[131] = PLAIN_CODE + 9;
	stack[140] = 0;
	stack[141] = IMAGE_CODE + OUTERMOST + 7;
	assert_int_equal(walk(PLAIN_CODE, 100, at(110), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(PLAIN_CODE, IMAGE_CODE + FRAMED + 4, PLAIN_CODE + 8,
		    IMAGE_CODE + OUTERMOST + 6);
}

static void frame_pointers_alone_look_nothing_up(void **state)
{
	(void)state;
	stack[110] = 0;
	stack[111] = PLAIN_CODE + 5;
	assert_int_equal(walk(IMAGE_CODE, 100, at(110), UNWIND_FP), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE, PLAIN_CODE + 4);
	assert_int_equal(lookups, 0);
}

static void a_bad_frame_pointer_ends_the_walk(void **state)
{
	const uintptr_t bad[] = { 0, 1, at(99), at(100) + 4, at(STACK_WORDS), at(STACK_WORDS - 1),
				  UINTPTR_MAX, UINTPTR_MAX - 7, at(0) - 8, IMAGE_CODE };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(walk(PLAIN_CODE, 100, bad[i], UNWIND_AUTO), UNWIND_TRUNCATED);
		assert_int_equal(depth, 1);
	}
	stack[110] = at(120);
	stack[111] = 0x30000000;                /* not code */
	assert_int_equal(walk(PLAIN_CODE, 100, at(110), UNWIND_AUTO), UNWIND_TRUNCATED);
	assert_int_equal(depth, 1);
}

static void a_jump_to_nowhere_has_its_caller_on_top(void **state)
{
	(void)state;
	stack[100] = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(0, 100, 0, UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + OUTERMOST + 4);
	assert_int_equal(walk(0x30000000, 100, 0, UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(0x30000000, IMAGE_CODE + OUTERMOST + 4);
	assert_int_equal(walk(UINT64_C(1) << 63, 100, 0, UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + OUTERMOST + 4);
	stack[100] = 0x30000000;
	assert_int_equal(walk(0, 100, 0, UNWIND_AUTO), UNWIND_TRUNCATED);
	assert_int_equal(depth, 0);
}

static void code_without_tables_tells_where_its_caller_is(void **state)
{
	static const struct { unsigned offset; uint8_t bytes[4]; } cases[] = {
		{ 0, { 0x55 } }, { 0, { 0xc3 } }, { 0, { 0xf3, 0x0f, 0x1e, 0xfa } },
		{ 0, { 0xff, 0x25 } }, { 8, { 0x48, 0x89, 0xe5 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		memcpy(stack, cases[i].bytes, 4);       /* code is what is executed */
		stack[100] = cases[i].offset == 8 ? at(110) : IMAGE_CODE + FRAMED + 5;
		stack[101] = IMAGE_CODE + FRAMED + 5;
		stack[110] = 0;
		stack[111] = IMAGE_CODE + OUTERMOST + 5;
		assert_int_equal(walk(at(0), 100, cases[i].offset == 8 ? 0 : at(110), UNWIND_AUTO),
				 UNWIND_COMPLETE);
		assert_int_equal(depth, 3);
		assert_int_equal(pc[1], IMAGE_CODE + FRAMED + 4);
		assert_int_equal(pc[2], IMAGE_CODE + OUTERMOST + 4);
	}
}

static void new_code_is_known_by_the_call_before_it(void **state)
{
	static const struct { bool call; uint8_t bytes[8]; } cases[] = {
		{ true, { 0, 0, 0, 0xe8, 1, 2, 3, 4 } },                /* call n(%rip) */
		{ true, { 0, 0, 0, 0, 0, 0, 0xff, 0xd0 } },             /* call *%rax */
		{ true, { 0, 0, 0, 0, 0, 0, 0xff, 0x13 } },             /* call *(%rbx) */
		{ true, { 0, 0, 0, 0, 0, 0xff, 0x55, 8 } },             /* call *8(%rbp) */
		{ true, { 0, 0, 0, 0, 0, 0xff, 0x14, 0x24 } },          /* call *(%rsp) */
		{ true, { 0, 0, 0, 0, 0xff, 0x54, 0x24, 8 } },          /* call *8(%rsp) */
		{ true, { 0, 0, 0xff, 0x15, 1, 2, 3, 4 } },             /* call *n(%rip) */
		{ true, { 0, 0, 0xff, 0x93, 1, 2, 3, 4 } },             /* call *n(%rbx) */
		{ true, { 0, 0xff, 0x94, 0x24, 1, 2, 3, 4 } },          /* call *n(%rsp) */
		{ false, { 0, 0, 0, 0, 0, 0, 0xff, 0xe0 } },            /* jmp *%rax */
		{ false, { 0, 0, 0, 0, 0, 0, 0xff, 0x14 } },            /* half of a call */
		{ false, { 0, 0, 0, 0, 0xe8, 1, 2, 3 } },
		{ false, { 0 } },
	};

	(void)state;
	stack[110] = 0;
	stack[111] = at(2);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		memcpy(&stack[1], cases[i].bytes, 8);
		assert_int_equal(walk(PLAIN_CODE, 100, at(110), UNWIND_AUTO),
				 cases[i].call ? UNWIND_COMPLETE : UNWIND_TRUNCATED);
		assert_int_equal(depth, cases[i].call ? 2 : 1);
	}
	readable_hi = readable_lo;
	memcpy(&stack[1], cases[0].bytes, 8);
	assert_int_equal(walk(PLAIN_CODE, 100, at(110), UNWIND_AUTO), UNWIND_TRUNCATED);
}

static void a_leaf_function_may_use_the_red_zone(void **state)
{
	(void)state;
	stack[99] = at(120);                            /* CFA = *(rsp - 8) + 8 */
	stack[120] = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(IMAGE_CODE + RED_ZONE, 100, 0, UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + RED_ZONE, IMAGE_CODE + OUTERMOST + 4);
	/* Any other has a callee there. */
	stack[101] = IMAGE_CODE + RED_ZONE + 5;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, 0, UNWIND_AUTO), UNWIND_TRUNCATED);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + RED_ZONE + 4);
}

static void the_red_zone_ends_at_a_guard_page(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0) - 4096, .hi = at(STACK_WORDS) };
	struct regs regs = { .r = { [REGS_PC] = IMAGE_CODE + RED_ZONE, [REGS_SP] = at(0) },
			     .known = 0x1ffff };

	(void)state;
	assert_int_equal(unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, NULL, pc, FRAMES_MAX, &depth),
			 UNWIND_TRUNCATED);
	assert_int_equal(depth, 1);
}

static void a_popped_frame_pointer_keeps_its_value(void **state)
{
	(void)state;
	/* After pop %rbp: the tables still say that it is saved, now right below the red zone. */
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100, OPS(0x86, 19));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_end(&image);
	object = image_place(&image, image.n, true);
	stack[100] = IMAGE_CODE + FRAMED + 5;
	stack[121] = 0;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, at(120), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + FRAMED + 4);
}

/* The same in a frame that was called, right behind which its caller's frame pointer was popped; what
 * is there now is of its callee. */
static void a_callers_popped_frame_pointer_keeps_its_value(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100, OPS(0x0e, 24));
	image_fde(&image, IMAGE_CODE + RED_ZONE, 0x100, OPS(0x86, 3));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_end(&image);
	object = image_place(&image, image.n, true);
	stack[101] = at(140);                           /* a place to go astray */
	stack[140] = at(160);
	stack[141] = IMAGE_CODE + FRAMED + 9;
	stack[102] = IMAGE_CODE + RED_ZONE + 5;         /* CFA 104, rbp at 101 */
	stack[103] = IMAGE_CODE + FRAMED + 5;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, at(120), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + RED_ZONE + 4, IMAGE_CODE + FRAMED + 4);
}

static void a_leaf_function_may_save_its_frame_pointer_in_the_red_zone(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100, OPS(0x86, 2));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_end(&image);
	object = image_place(&image, image.n, true);
	stack[99] = at(120);
	stack[100] = IMAGE_CODE + FRAMED + 5;
	stack[140] = at(160);
	stack[141] = IMAGE_CODE + FRAMED + 9;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, at(140), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + FRAMED + 4);
}

/* Of a realigned stack, after leave: the expression is the caller's place. */
static void a_frame_pointer_of_the_callers_keeps_its_value(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100,
		  OPS(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_end(&image);
	object = image_place(&image, image.n, true);
	stack[119] = at(110);
	stack[109] = IMAGE_CODE + FRAMED + 5;
	stack[120] = at(150);                           /* the caller's caller's */
	stack[150] = at(160);
	stack[151] = IMAGE_CODE + FRAMED + 9;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, at(120), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + FRAMED + 4);
	/* In its own frame it is the caller's that is saved there. */
	stack[107] = at(110);
	stack[108] = at(130);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, at(108), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + FRAMED + 4);
	stack[120] = at(140);
	stack[131] = IMAGE_CODE + FRAMED + 9;
	stack[130] = at(140);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 100, at(108), UNWIND_AUTO), UNWIND_COMPLETE);
	CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + FRAMED + 4, IMAGE_CODE + FRAMED + 8);
}

/* A function whose frame is found by rbx, called by one that only the rules know; behind it code
 * without tables, and the end of a chain of frame pointers.  Each time anew. */
static void where_rules_forgot_a_register_the_walk_begins_again(void **state)
{
	static struct unwind_memo_frame kept[FRAMES_MAX], fresh[FRAMES_MAX];
	struct unwind_memo memo = { .frame = kept, .fresh_frame = fresh, .max = FRAMES_MAX };
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };

	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100, OPS(0x0e, 16, 0x86, 2));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 3, 16, 0x86, 2));
	image_end(&image);
	object = image_place(&image, image.n, true);
	stack[101] = stack[103] = IMAGE_CODE + PUSHED + 5;
	stack[102] = stack[100] = at(150);
	stack[104] = at(120);
	stack[105] = IMAGE_CODE + FRAMED + 5;
	stack[110] = 0;                                 /* where rbx is */
	stack[111] = PLAIN_CODE + 5;
	stack[120] = 0;                                 /* where a frame pointer would lead */
	stack[121] = PLAIN_CODE + 9;
	for (unsigned i = 0; i < 5; i++) {
		struct regs regs = { .r = { [REGS_PC] = IMAGE_CODE, [REGS_SP] = at(100),
					    [REGS_BP] = at(150), [3] = at(110) },
				     .known = 0x1ffff };

		assert_int_equal(unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, &memo, pc,
					      FRAMES_MAX, &depth), UNWIND_COMPLETE);
		CHECK_STACK(IMAGE_CODE + PUSHED, IMAGE_CODE + PUSHED + 4, IMAGE_CODE + PUSHED + 4,
			    IMAGE_CODE + FRAMED + 4, PLAIN_CODE + 4);
	}
}

static void a_stack_goes_only_up(void **state)
{
	const uintptr_t bad[] = { at(97), at(98), at(97) + 4, at(STACK_WORDS), 0, UINTPTR_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		for (unsigned w = 84; w < 130; w++)
			stack[w] = w == 100 ? 0x30000000 : IMAGE_CODE + PUSHED + 5;
		assert_int_equal(walk(IMAGE_CODE + FRAMED, 100, bad[i], UNWIND_AUTO),
				 UNWIND_TRUNCATED);
		assert_int_equal(depth, 1);
	}
}

static void a_stack_as_deep_as_the_limit_is_complete(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };

	(void)state;
	for (unsigned frames = 1; frames < 5; frames++) {
		struct regs regs = { .r = { [REGS_PC] = IMAGE_CODE, [REGS_SP] = at(100) },
				     .known = 0x1ffff };

		stack[101] = stack[103] = IMAGE_CODE + PUSHED + 5;
		stack[105] = 0;
		assert_int_equal(unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, NULL, pc, frames,
					      &depth),
				 frames < 3 ? UNWIND_TRUNCATED : UNWIND_COMPLETE);
		assert_int_equal(depth, frames < 3 ? frames : 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_stack_with_tables_is_walked_to_its_end, start),
		cmocka_unit_test_setup(a_return_address_may_be_in_a_register, start),
		cmocka_unit_test_setup(a_call_at_the_end_of_a_function_belongs_to_it, start),
		cmocka_unit_test_setup(frame_pointers_are_followed_where_no_table_is, start),
		cmocka_unit_test_setup(tables_and_frame_pointers_take_turns, start),
		cmocka_unit_test_setup(frame_pointers_alone_look_nothing_up, start),
		cmocka_unit_test_setup(a_bad_frame_pointer_ends_the_walk, start),
		cmocka_unit_test_setup(a_jump_to_nowhere_has_its_caller_on_top, start),
		cmocka_unit_test_setup(code_without_tables_tells_where_its_caller_is, start),
		cmocka_unit_test_setup(new_code_is_known_by_the_call_before_it, start),
		cmocka_unit_test_setup(a_leaf_function_may_use_the_red_zone, start),
		cmocka_unit_test_setup(the_red_zone_ends_at_a_guard_page, start),
		cmocka_unit_test_setup(a_popped_frame_pointer_keeps_its_value, start),
		cmocka_unit_test_setup(a_callers_popped_frame_pointer_keeps_its_value, start),
		cmocka_unit_test_setup(a_leaf_function_may_save_its_frame_pointer_in_the_red_zone,
				       start),
		cmocka_unit_test_setup(a_frame_pointer_of_the_callers_keeps_its_value, start),
		cmocka_unit_test_setup(where_rules_forgot_a_register_the_walk_begins_again, start),
		cmocka_unit_test_setup(a_stack_goes_only_up, start),
		cmocka_unit_test_setup(a_stack_as_deep_as_the_limit_is_complete, start),
	};

	return cmocka_run_group_tests(tests, make_stack, NULL);
}
