/* Stacks that are not the thread's own: unknown ones, alternate ones, and the way between them. */
#include "sampler/unwind.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "sampler/limits.h"
#include "test/unit/unwind_stage.h"

/* As laid out by the trampoline's rules below, from its stack pointer. */
struct signal_frame {
	uintptr_t bp, pc, sp;
};

#define TRAMPOLINE (IMAGE_CODE + 0x400)

static enum unwind_end walk(uintptr_t from, uintptr_t sp, uintptr_t bp,
			    const struct unwind_stack_bounds *bounds)
{
	struct regs regs = {
		.r = { [REGS_PC] = from, [REGS_SP] = sp, [REGS_BP] = bp }, .known = 0x1ffff,
	};

	return unwind_stack(&regs, bounds, UNWIND_AUTO, &work, NULL, pc, FRAMES_MAX, &depth);
}

/* Functions and a signal trampoline: CFA, pc and rbp are what struct signal_frame says. */
static int start_with_trampoline(void **state)
{
	start(state);
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE + PUSHED, 0x100, OPS(0x0e, 16, 0x86, 2));
	image_fde(&image, IMAGE_CODE + FRAMED, 0x100, OPS(0x0c, 6, 16, 0x86, 2));
	image_fde(&image, IMAGE_CODE + OUTERMOST, 0x100, OPS(0x07, 16));
	image_cie(&image, "zRS", 1, 0x78, NO_OPS);
	image_fde(&image, TRAMPOLINE - 1, 0x10, OPS(0x0f, 3, 0x77, 16, 0x06,
						    0x10, 16, 2, 0x77, 8, 0x10, 6, 2, 0x77, 0));
	image_end(&image);
	object = image_place(&image, image.n, true);
	return 0;
}

static void each_page_of_an_unknown_stack_is_asked_about_once(void **state)
{
	static const struct unwind_stack_bounds none;

	(void)state;
	for (unsigned w = 1; w < STACK_WORDS; w += 2)
		stack[w] = IMAGE_CODE + PUSHED + 5;
	stack[1 + 2 * 20] = IMAGE_CODE + FRAMED + 5;            /* from the first page ... */
	stack[2 * 20] = at(STACK_WORDS - 4);                    /* ... to the last */
	stack[STACK_WORDS - 3] = 0;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(0), 0, &none), UNWIND_COMPLETE);
	assert_int_equal(depth, 22);
	assert_int_equal(probes, 2);
}

static void an_unknown_stack_is_read_no_further_than_it_is_mapped(void **state)
{
	static const struct unwind_stack_bounds none;

	(void)state;
	for (unsigned w = 1; w < STACK_WORDS; w += 2)
		stack[w] = IMAGE_CODE + PUSHED + 5;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(STACK_WORDS - 20), 0, &none),
			 UNWIND_TRUNCATED);
	assert_int_equal(depth, 11);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(STACK_WORDS), 0, &none), UNWIND_TRUNCATED);
	assert_int_equal(depth, 1);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, UINTPTR_MAX - 7, 0, &none), UNWIND_TRUNCATED);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, 0, 0, &none), UNWIND_TRUNCATED);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(0) + 3, 0, &none), UNWIND_TRUNCATED);
}

static void a_fiber_below_the_threads_stack_is_unknown(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(STACK_WORDS) + (64 << 20),
					      .hi = at(STACK_WORDS) + (65 << 20) };

	(void)state;
	for (unsigned w = 1; w < STACK_WORDS; w += 2)
		stack[w] = IMAGE_CODE + PUSHED + 5;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(STACK_WORDS - 20), 0, &bounds),
			 UNWIND_TRUNCATED);
	assert_int_equal(depth, 11);
}

static void without_its_lower_end_no_stack_is_known(void **state)
{
	struct unwind_stack_bounds bounds = { .hi = at(STACK_WORDS) + (1 << 20) };

	(void)state;
	/* A fiber that nobody called, and a frame pointer that is none. */
	stack[STACK_WORDS - 20] = at(STACK_WORDS);
	stack[STACK_WORDS - 19] = PLAIN_CODE;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(STACK_WORDS - 20), 0, &bounds),
			 UNWIND_TRUNCATED);
	assert_int_equal(depth, 2);
}

static void frames_and_walks_on_unknown_stacks_have_a_limit(void **state)
{
	static const struct unwind_stack_bounds none;
	const size_t bytes = 4u << 20, frame = 200u << 10;
	uintptr_t big = (uintptr_t)mmap(NULL, bytes, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	readable_lo = big;
	readable_hi = big + bytes;
	for (size_t i = 0; i < 15; i++) {
		uintptr_t *link = (uintptr_t *)(big + i * frame);

		link[0] = big + (i + 1) * frame;
		link[1] = IMAGE_CODE + FRAMED + 5;
	}
	assert_int_equal(walk(IMAGE_CODE + FRAMED, big, big, &none), UNWIND_TRUNCATED);
	assert_int_equal(depth, 2 + UNKNOWN_WALK_BYTES_MAX / frame);
	*(uintptr_t *)big = big + UNKNOWN_FRAME_BYTES_MAX + 8;
	*(uintptr_t *)(big + UNKNOWN_FRAME_BYTES_MAX + 8) = big + UNKNOWN_FRAME_BYTES_MAX + 64;
	*(uintptr_t *)(big + UNKNOWN_FRAME_BYTES_MAX + 16) = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(IMAGE_CODE + FRAMED, big, big, &none), UNWIND_TRUNCATED);
	assert_int_equal(depth, 2);
	munmap((void *)big, bytes);
}

static void a_signal_frame_leads_from_the_alternate_stack_to_the_threads(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(1024), .alt_lo = at(1024),
					      .alt_hi = at(STACK_WORDS) };

	(void)state;
	stack[1031] = TRAMPOLINE;                       /* the handler's return address */
	stack[1032] = at(210);                          /* bp, pc, sp when it came */
	stack[1033] = IMAGE_CODE + FRAMED;
	stack[1034] = at(200);
	stack[211] = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(1030), 0, &bounds), UNWIND_COMPLETE);
	assert_int_equal(depth, 4);
	assert_int_equal(pc[0], IMAGE_CODE + PUSHED);
	assert_int_equal(pc[1], TRAMPOLINE);
	assert_int_equal(pc[2], IMAGE_CODE + FRAMED);   /* exact: it was interrupted */
	assert_int_equal(pc[3], IMAGE_CODE + OUTERMOST + 4);
	assert_int_equal(probes, 1);
}

/* The handler's frames are not among them: they are on another stack, above the thread's. */
static void what_a_memo_keeps_is_on_the_threads_own_stack(void **state)
{
	static struct unwind_memo_frame kept[FRAMES_MAX], fresh[FRAMES_MAX];
	struct unwind_memo memo = { .frame = kept, .fresh_frame = fresh, .max = FRAMES_MAX };
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(1024), .alt_lo = at(1024),
					      .alt_hi = at(STACK_WORDS) };

	(void)state;
	stack[1031] = IMAGE_CODE + PUSHED + 5;
	stack[1033] = IMAGE_CODE + PUSHED + 5;
	stack[1035] = TRAMPOLINE;
	stack[1036] = at(210);                          /* bp, pc, sp when it came */
	stack[1037] = IMAGE_CODE + PUSHED;
	stack[1038] = at(200);
	stack[201] = stack[203] = stack[205] = IMAGE_CODE + PUSHED + 5;
	stack[207] = IMAGE_CODE + OUTERMOST + 5;
	for (unsigned i = 0; i < 3; i++) {
		struct regs regs = { .r = { [REGS_PC] = IMAGE_CODE + PUSHED, [REGS_SP] = at(1030) },
				     .known = 0x1ffff };

		memo.same = 0;
		assert_int_equal(unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, &memo, pc,
					      FRAMES_MAX, &depth), UNWIND_COMPLETE);
		assert_int_equal(depth, 9);
		assert_int_equal(memo.max - memo.first, 4);
		for (unsigned k = memo.first; k < memo.max; k++)
			assert_in_range(kept[k].sp, at(200), at(210));
		assert_int_equal(memo.same, i == 0 ? 0 : 3);
	}
}

static void a_handler_on_the_same_stack_is_above_what_it_interrupted(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };

	(void)state;
	stack[101] = TRAMPOLINE;
	stack[102] = 0;
	stack[103] = IMAGE_CODE + PUSHED + 1;
	stack[104] = at(150);
	stack[151] = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(100), 0, &bounds), UNWIND_COMPLETE);
	assert_int_equal(depth, 4);
	assert_int_equal(pc[2], IMAGE_CODE + PUSHED + 1);
}

static void a_signal_frame_that_leads_nowhere_is_the_end(void **state)
{
	const uintptr_t bad[] = { 0, 8, at(0) - 4096, at(0) - 8, at(STACK_WORDS),
				  at(STACK_WORDS) + 8, UINTPTR_MAX, UINTPTR_MAX - 7, 0xffff };
	struct unwind_stack_bounds bounds = { .lo = at(0) - 4096, .hi = at(STACK_WORDS) };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		stack[101] = TRAMPOLINE;
		stack[102] = bad[i];
		stack[103] = IMAGE_CODE + FRAMED;
		stack[104] = bad[i];
		assert_int_equal(walk(IMAGE_CODE + PUSHED, at(100), 0, &bounds), UNWIND_TRUNCATED);
		assert_int_equal(depth, 3);
	}
}

static void a_loop_of_signal_frames_ends_at_the_limit(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(STACK_WORDS) };

	(void)state;
	stack[101] = TRAMPOLINE;
	stack[103] = IMAGE_CODE + PUSHED;
	stack[104] = at(100);
	assert_int_equal(walk(IMAGE_CODE + PUSHED, at(100), 0, &bounds), UNWIND_TRUNCATED);
	assert_int_equal(depth, FRAMES_MAX);
}

static void a_fibers_caller_may_be_on_the_threads_stack(void **state)
{
	struct unwind_stack_bounds bounds = { .lo = at(0), .hi = at(512) };

	(void)state;
	stack[100] = 0;
	stack[101] = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(IMAGE_CODE + FRAMED, at(1000), at(100), &bounds), UNWIND_COMPLETE);
	assert_int_equal(depth, 2);
	/* But not the other way round. */
	stack[1100] = 0;
	stack[1101] = IMAGE_CODE + OUTERMOST + 5;
	assert_int_equal(walk(IMAGE_CODE + FRAMED, at(100), at(1100), &bounds), UNWIND_TRUNCATED);
	assert_int_equal(depth, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_page_of_an_unknown_stack_is_asked_about_once, start),
		cmocka_unit_test_setup(an_unknown_stack_is_read_no_further_than_it_is_mapped,
				       start),
		cmocka_unit_test_setup(a_fiber_below_the_threads_stack_is_unknown, start),
		cmocka_unit_test_setup(without_its_lower_end_no_stack_is_known, start),
		cmocka_unit_test_setup(frames_and_walks_on_unknown_stacks_have_a_limit, start),
		cmocka_unit_test_setup(a_signal_frame_leads_from_the_alternate_stack_to_the_threads,
				       start_with_trampoline),
		cmocka_unit_test_setup(what_a_memo_keeps_is_on_the_threads_own_stack,
				       start_with_trampoline),
		cmocka_unit_test_setup(a_handler_on_the_same_stack_is_above_what_it_interrupted,
				       start_with_trampoline),
		cmocka_unit_test_setup(a_signal_frame_that_leads_nowhere_is_the_end,
				       start_with_trampoline),
		cmocka_unit_test_setup(a_loop_of_signal_frames_ends_at_the_limit,
				       start_with_trampoline),
		cmocka_unit_test_setup(a_fibers_caller_may_be_on_the_threads_stack, start),
	};

	return cmocka_run_group_tests(tests, make_stack, NULL);
}
