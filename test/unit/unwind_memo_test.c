/* What is kept of a thread's last stack, frame by frame: stacks that are made up, and a walk that
 * knows their frames beforehand. */
#include "sampler/unwind_memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sampler/compiler.h"

enum { FRAMES = 12, KEPT = 16 };

static uintptr_t stack[200];
static struct unwind_memo_frame kept[KEPT], fresh[KEPT], frame[FRAMES];
static struct unwind_memo memo;
static uintptr_t listed[FRAMES];
static unsigned looked_up;      /* frames whose rule the walk had to find */

static uintptr_t at(unsigned word) { return (uintptr_t)&stack[word]; }

/* Twelve frames, ten words each; the frame pointer of every third is saved below. */
static int begin(void **state)
{
	(void)state;
	memset(stack, 0, sizeof(stack));
	memo = (struct unwind_memo){ .frame = kept, .fresh_frame = fresh, .max = KEPT };
	unwind_memo_know(&memo, 1);
	for (unsigned i = 0; i < FRAMES; i++) {
		struct unwind_memo_frame *f = &frame[i];

		*f = (struct unwind_memo_frame){ at(20 + 10 * i), 0x1000 * (i + 1), 0, 0 };
		f->bp = i < 2 ? 7 : frame[i - 1].bp;
		if (i % 3 == 2) {
			f->bp = 100 * i;
			f->way = f->sp - 32;
			stack[20 + 10 * i - 4] = f->bp;
		}
		stack[20 + 10 * i - 1] = f->pc;
	}
	frame[0].way = UNWIND_MEMO_APART;     /* it was interrupted, or called us */
	return 0;
}

/* As unwind.c does it.  False: the memo was not asked. */
static bool walk_frames(unsigned from, unsigned to, bool to_the_end)
{
	bool asked = unwind_memo_begin(&memo, at(200)), keeps = asked;

	looked_up = 0;
	for (unsigned i = from; i < to; i++) {
		struct unwind_memo_frame f = frame[i];

		if (keeps && unwind_memo_meet(&memo, &f)) {
			i += unwind_memo_follow(&memo, &f, listed + i, to - i);
			keeps = !memo.closed;
			if (i == to)
				break;
		}
		assert_memory_equal(&f.sp, &frame[i].sp, 3 * sizeof(f.sp));
		looked_up++;
		listed[i] = f.pc - 1;
	}
	if (asked && to_the_end)
		unwind_memo_end(&memo, to - from);
	for (unsigned i = from; i < to; i++)
		assert_int_equal(listed[i], frame[i].pc - 1);
	memset(listed, 0, sizeof(listed));
	return asked;
}

static unsigned walk(void)
{
	assert_true(walk_frames(0, FRAMES, true));
	return looked_up;
}

/* All that is kept can be taken for a stack: it ascends, and is inside of its array. */
static void check_kept(unsigned n)
{
	assert_int_equal(memo.max - memo.first, n);
	for (unsigned i = memo.first + 1; i < memo.max; i++)
		assert_true(kept[i].sp > kept[i - 1].sp);
}

static void the_same_stack_is_looked_up_once(void **state)
{
	(void)state;
	assert_int_equal(walk(), FRAMES);
	check_kept(FRAMES);
	/* The last frame again: where it leads was not kept. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(walk(), 1);
	check_kept(FRAMES);
}

static void frames_that_come_and_go_at_the_leaf_are_looked_up(void **state)
{
	(void)state;
	assert_true(walk_frames(3, FRAMES, true));
	assert_int_equal(walk(), 4);            /* the three new ones, and the last */
	check_kept(FRAMES);
	assert_true(walk_frames(5, FRAMES, true));
	assert_int_equal(looked_up, 1);
	check_kept(FRAMES - 5);
	assert_int_equal(walk(), 6);
	assert_int_equal(walk(), 1);
}

/* Another function called the same ones from the same place of the stack. */
static void a_frame_in_the_middle_that_changed_is_looked_up(void **state)
{
	(void)state;
	walk();
	frame[6].pc = stack[20 + 60 - 1] = 0x77000;
	assert_int_equal(walk(), 3);            /* the one before it leads there, itself, the last */
	assert_int_equal(walk(), 1);
	check_kept(FRAMES);
}

static void a_saved_frame_pointer_that_changed_is_seen(void **state)
{
	(void)state;
	walk();
	stack[20 + 50 - 4] = 99;
	for (unsigned i = 5; i < 8; i++)
		frame[i].bp = 99;
	/* Frame 4 leads to 5, 5 to 6, 6 to 7 and 7 to 8, which loads its own again. */
	assert_int_equal(walk(), 5);
	assert_int_equal(walk(), 1);
}

static void what_a_frame_loads_is_looked_at_in_any_case(void **state)
{
	(void)state;
	/* The stack is another one, all frames are as they were. */
	for (unsigned i = 1; i < FRAMES; i++) {
		struct unwind_memo_frame f = frame[0];
		uintptr_t pc = stack[20 + 10 * i - 1];

		unwind_memo_know(&memo, 1 + i);
		walk();
		unwind_memo_begin(&memo, at(200));
		assert_true(unwind_memo_meet(&memo, &f));
		stack[20 + 10 * i - 1] = 1;
		assert_int_equal(unwind_memo_follow(&memo, &f, listed, FRAMES), i - 1);
		assert_memory_equal(&f.sp, &frame[i - 1].sp, 3 * sizeof(f.sp));
		assert_false(memo.closed);
		stack[20 + 10 * i - 1] = pc;
		unwind_memo_end(&memo, i);
		check_kept(i);
	}
}

static void a_way_that_no_load_can_vouch_for_is_walked(void **state)
{
	(void)state;
	frame[5].way = UNWIND_MEMO_APART;
	walk();
	assert_int_equal(walk(), 2);
	assert_int_equal(walk(), 2);
	/* The way may become another: the last one counts. */
	frame[5].way = frame[0].way = 0;
	frame[5].bp = frame[4].bp;
	frame[6].bp = frame[7].bp = frame[4].bp;
	assert_int_equal(walk(), 5);
	assert_int_equal(walk(), 1);
	frame[5].way = UNWIND_MEMO_APART;
	unwind_memo_know(&memo, 2);
	walk();
	assert_int_equal(walk(), 2);
}

/* A realigned stack: both registers are loaded, from places far apart. */
static void a_stack_pointer_that_was_loaded_is_looked_at(void **state)
{
	static uintptr_t far[40000];
	const uintptr_t below[] = { 0, 8, 4096, 0x3fff8 };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(below); i++) {
		uintptr_t *bp_at = &far[35000], *sp_at = bp_at - below[i] / 8;

		unwind_memo_know(&memo, 10 + i);
		frame[5].way = unwind_memo_both((uintptr_t)bp_at, below[i]);
		*bp_at = frame[5].bp = frame[6].bp = frame[7].bp = 77;
		*sp_at = frame[5].sp;
		if (below[i] == 0)
			frame[5].bp = frame[6].bp = frame[7].bp = *bp_at;
		walk();
		assert_int_equal(walk(), 1);
		++*sp_at;
		assert_int_equal(walk_frames(0, 5, true), true);
		assert_int_equal(looked_up, 1);         /* the one that led there */
		--*sp_at;
		unwind_memo_know(&memo, 20 + i);
		walk();
		assert_int_equal(walk(), 1);
		frame[5].bp = frame[6].bp = frame[7].bp = ++*bp_at;
		if (below[i] != 0)
			assert_int_equal(walk(), 5);
	}
}

static void of_a_deep_stack_the_frames_near_the_leaf_are_kept(void **state)
{
	(void)state;
	memo.max = memo.first = 5;
	assert_int_equal(walk(), FRAMES);
	check_kept(5);
	assert_int_equal(walk(), FRAMES - 4);
	check_kept(5);
	/* One more at the leaf: the outermost of the five goes. */
	assert_true(walk_frames(1, FRAMES, true));
	assert_int_equal(looked_up, FRAMES - 1 - 3);
	assert_int_equal(walk(), FRAMES - 3);
	check_kept(5);
	assert_int_equal(kept[0].sp, frame[0].sp);
	/* All others: never more than there is room for. */
	for (unsigned i = 0; i < FRAMES; i++)
		frame[i].pc = stack[20 + 10 * i - 1] = 0x50000 + i;
	assert_int_equal(walk(), FRAMES);
	check_kept(5);
	memo.max = memo.first = 1;
	walk();
	assert_int_equal(walk(), FRAMES);
	memo.max = memo.first = 0;
	assert_int_equal(walk(), FRAMES);
}

static void a_walk_may_end_before_the_memo_does(void **state)
{
	(void)state;
	walk();
	assert_true(walk_frames(0, 5, true));
	assert_int_equal(looked_up, 0);
	/* The frame that was arrived at is known, though it was not listed. */
	check_kept(6);
	assert_int_equal(walk(), FRAMES - 5);
}

static void other_rules_make_it_forget(void **state)
{
	(void)state;
	walk();
	unwind_memo_know(&memo, 1);
	assert_int_equal(walk(), 1);
	unwind_memo_know(&memo, 2);
	assert_int_equal(walk(), FRAMES);
	assert_int_equal(walk(), 1);
}

static void another_stack_makes_it_forget(void **state)
{
	(void)state;
	walk();
	assert_true(unwind_memo_begin(&memo, at(199)));
	assert_false(unwind_memo_meet(&memo, &frame[0]));
	unwind_memo_end(&memo, 1);
	assert_int_equal(walk(), FRAMES);
}

static void a_walk_that_is_left_makes_it_forget(void **state)
{
	(void)state;
	walk();
	assert_true(walk_frames(0, 5, false));
	assert_int_equal(walk(), FRAMES);
	assert_int_equal(walk(), 1);
	frame[3].pc = stack[20 + 30 - 1] = 0x77000;
	assert_true(walk_frames(0, FRAMES, false));
	assert_int_equal(walk(), FRAMES);
}

/* Stacks that have nothing in common. */
static void walk_another(unsigned i)
{
	for (unsigned k = 0; k < FRAMES; k++)
		frame[k].pc = stack[20 + 10 * k - 1] = 0x100000 + i * 0x100 + k;
	walk_frames(0, FRAMES, true);
}

static void where_it_does_not_pay_it_rests(void **state)
{
	unsigned rests = 0;

	(void)state;
	for (unsigned i = 0; i < UNWIND_MEMO_WALKS; i++) {
		assert_false(memo.resting);
		walk_another(i);
	}
	assert_true(memo.resting);
	walk_another(UNWIND_MEMO_WALKS);
	while (!walk_frames(0, FRAMES, true))
		rests++;
	assert_int_equal(rests, UNWIND_MEMO_REST - 2);
	assert_int_equal(looked_up, FRAMES);    /* what it knew is long past */
	for (unsigned i = 0; i < 10 * UNWIND_MEMO_WALKS; i++)
		assert_int_equal(walk(), 1);
	assert_false(memo.resting);
}

/* As many as must be met, and one walk more or not. */
static void it_goes_on_where_it_pays(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		bool enough = round < 19;
		unsigned same = FRAMES * UNWIND_MEMO_WALKS / UNWIND_MEMO_SHARE;

		/* A walk of the same stack meets FRAMES - 1. */
		same = same / (FRAMES - 1) + enough;
		for (unsigned i = 0; i < UNWIND_MEMO_WALKS; i++) {
			assert_false(memo.resting);
			if (i > 0 && i <= same)
				walk();
			else
				walk_another(i + 1000 * round);
		}
		assert_int_equal(memo.resting, !enough);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_stack_is_looked_up_once),
		TEST(frames_that_come_and_go_at_the_leaf_are_looked_up),
		TEST(a_frame_in_the_middle_that_changed_is_looked_up),
		TEST(a_saved_frame_pointer_that_changed_is_seen),
		TEST(what_a_frame_loads_is_looked_at_in_any_case),
		TEST(a_way_that_no_load_can_vouch_for_is_walked),
		TEST(a_stack_pointer_that_was_loaded_is_looked_at),
		TEST(of_a_deep_stack_the_frames_near_the_leaf_are_kept),
		TEST(a_walk_may_end_before_the_memo_does),
		TEST(other_rules_make_it_forget),
		TEST(another_stack_makes_it_forget),
		TEST(a_walk_that_is_left_makes_it_forget),
		TEST(where_it_does_not_pay_it_rests),
		TEST(it_goes_on_where_it_pays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
