#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "fake/child.h"
#include "fake/sys_refused.h"
#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"
#include "sampler/threads.h"

#define DEPTH 100
#define MANY  (3 * THREADS_PER_CHUNK)

static struct thread_slot *slots[MANY];

static void claim_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		slots[i] = threads_claim();
		assert_non_null(slots[i]);
	}
}

static void release_many(void)
{
	for (unsigned i = 0; i < MANY; i++)
		threads_release(slots[i]);
}

static bool count_slots(struct thread_slot *slot, void *arg)
{
	(void)slot;
	++*(unsigned *)arg;
	return true;
}

static unsigned slots_in_use(void)
{
	unsigned n = 0;

	threads_each(count_slots, &n);
	return n;
}

static int leave_nothing(void **state)
{
	(void)state;
	if (self.phase == SELF_READY)
		threads_leave();
	self = (struct self){ .phase = SELF_NEW };
	return slots_in_use() != 0;
}

static void before_init_there_are_no_slots(void **state)
{
	uint64_t before = count_get(COUNT_THREAD_NO_SLOT);

	(void)state;
	assert_null(threads_claim());
	assert_int_equal(count_get(COUNT_THREAD_NO_SLOT), before + 1);
	assert_int_equal(slots_in_use(), 0);
	assert_null(threads_find(os_gettid()));
}

static void without_memory_there_are_no_slots(void **state)
{
	uint64_t before = count_get(COUNT_THREAD_NO_SLOT);

	(void)state;
	threads_init(DEPTH);
	assert_int_equal(threads_depth(), DEPTH);
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	assert_null(threads_claim());
	assert_int_equal(count_get(COUNT_THREAD_NO_SLOT), before + 1);
	threads_enter(NULL);
	sys_refuse(0, 0, 0);
	/* Such a thread is known, but not sampled. */
	assert_int_equal(self.phase, SELF_READY);
	assert_null(self.slot);
	assert_null(threads_capture(CAPTURE_HEAP));
	threads_leave();
	assert_int_equal(self.phase, SELF_GONE);
}

static void more_threads_than_a_chunk_has_get_slots_of_their_own(void **state)
{
	(void)state;
	claim_many();
	for (unsigned i = 0; i < MANY; i++)
		for (unsigned k = 0; k < i; k++)
			assert_ptr_not_equal(slots[i], slots[k]);
	assert_int_equal(slots_in_use(), MANY);
	release_many();
}

static void slots_are_used_again(void **state)
{
	struct thread_slot *first[MANY];

	(void)state;
	claim_many();
	memcpy(first, slots, sizeof(first));
	release_many();
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	claim_many();
	sys_refuse(0, 0, 0);
	assert_memory_equal(first, slots, sizeof(first));
	release_many();
}

static void a_claimed_slot_knows_nothing_of_its_last_thread(void **state)
{
	static char arg;
	struct thread_slot *s = threads_claim();

	(void)state;
	s->tid = 77;
	s->scanned = true;
	s->stack_hi = 77;
	s->start_arg = &arg;
	s->start = (void *(*)(void *))(void *)&arg;
	threads_release(s);
	assert_null(threads_find(77));
	assert_ptr_equal(threads_claim(), s);
	assert_int_equal(s->tid, 0);
	assert_int_equal(s->timer, 0);
	assert_false(s->scanned);
	assert_int_equal(s->stack_hi, 0);
	assert_null(s->start_arg);
	assert_null((void *)s->start);
	threads_release(s);
}

static void a_released_slot_belongs_to_no_thread(void **state)
{
	struct thread_slot *s = threads_claim();

	(void)state;
	s->tid = 77;
	assert_ptr_equal(threads_find(77), s);
	threads_release(s);
	assert_int_equal(s->tid, 0);
	assert_null(threads_find(77));
}

static bool nothing(struct thread_slot *slot, void *arg)
{
	(void)slot;
	(void)arg;
	return true;
}

/* A page that is read is a page fault, and one more to copy at each fork. */
static void the_walk_leaves_the_pages_of_free_slots_alone(void **state)
{
	struct thread_slot *first = threads_claim(), *second = threads_claim();
	uintptr_t stride = (uintptr_t)second - (uintptr_t)first;
	uintptr_t from = ((uintptr_t)second + 4095) & ~(uintptr_t)4095;
	uintptr_t to = ((uintptr_t)first + THREADS_PER_CHUNK * stride) & ~(uintptr_t)4095;
	unsigned char resident[1024] = { 0 };

	(void)state;
	threads_release(second);
	assert_true((to - from) / 4096 <= sizeof(resident));
	assert_int_equal(madvise((void *)from, to - from, MADV_DONTNEED), 0);
	threads_each(nothing, NULL);
	assert_null(threads_find(12345));
	assert_int_equal(mincore((void *)from, to - from, resident), 0);
	assert_null(memchr(resident, 1, (to - from) / 4096));
	threads_release(first);
}

static bool stop_at_third(struct thread_slot *slot, void *arg)
{
	(void)slot;
	return ++*(unsigned *)arg < 3;
}

static void the_walk_over_slots_ends_when_it_is_told_to(void **state)
{
	unsigned n = 0;

	(void)state;
	claim_many();
	threads_each(stop_at_third, &n);
	assert_int_equal(n, 3);
	release_many();
}

/* What is kept beside a slot: f is called for each part with a byte that is that part's alone. */
static void each_part(struct thread_slot *s, void (*f)(void *at, uint8_t byte, size_t bytes))
{
	uint8_t byte = (uint8_t)(6 * s->number + 1);

	f(s->memo.frame, byte++, s->memo.max * sizeof(s->memo.frame[0]));
	for (unsigned kind = 0; kind < CAPTURE_KINDS; kind++) {
		struct capture *c = &s->capture[kind];

		f(c->seen_pc, byte++, c->seen_max * sizeof(c->seen_pc[0]));
		f(c->seen_node, byte++, c->seen_max * sizeof(c->seen_node[0]));
		f(c->scratch.own, byte++, kind == 0 ? scratch_bytes() : 1);
	}
}

static void write_part(void *at, uint8_t byte, size_t bytes)
{
	memset(at, byte, bytes);
}

static void check_part(void *at, uint8_t byte, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(((const uint8_t *)at)[i], byte);
}

/* Enters with the slots of other threads around; for stacks that are not deep, and deep ones. */
static void what_is_kept_is_nobody_elses(void **state)
{
	(void)state;
	claim_many();
	for (unsigned frames = 1; frames <= DEPTH; frames += DEPTH - 1) {
		for (unsigned i = 0; i < MANY; i++) {
			assert_int_equal((uintptr_t)slots[i] % 4096, 0);
			threads_make_memo_room(slots[i], frames);
			threads_make_room(&slots[i]->capture[CAPTURE_DOOR], frames);
			threads_make_room(&slots[i]->capture[CAPTURE_TICK], frames);
			assert_true(slots[i]->memo.max >= frames);
			assert_true(slots[i]->capture[CAPTURE_DOOR].seen_max >= frames);
			each_part(slots[i], write_part);
		}
		for (unsigned i = 0; i < MANY; i++)
			each_part(slots[i], check_part);
	}
	assert_int_equal(slots_in_use(), MANY);
	release_many();
}

static void a_thread_enters_and_leaves(void **state)
{
	(void)state;
	self.heap_rate = self.heap_left = 77;
	threads_enter(NULL);
	assert_int_equal(self.phase, SELF_READY);
	assert_int_equal(self.tid, os_gettid());
	assert_non_null(self.slot);
	assert_int_equal(self.slot->tid, self.tid);
	assert_int_not_equal(self.random, 0);
	/* So that its first allocation takes the slow path and draws a gap. */
	assert_int_equal(self.heap_left, 0);
	assert_int_equal(self.heap_rate, 0);
	assert_ptr_equal(threads_find(self.tid), self.slot);
	threads_leave();
	assert_int_equal(self.phase, SELF_GONE);
	assert_null(self.slot);
	assert_null(threads_find(os_gettid()));
}

static void a_thread_knows_its_name(void **state)
{
	(void)state;
	prctl(PR_SET_NAME, "threads_test");
	threads_enter(NULL);
	assert_string_equal(thread_names_get(thread_names_now()), "threads_test");
}

static void a_thread_takes_the_slot_it_was_given(void **state)
{
	struct thread_slot *given = threads_claim();

	(void)state;
	given->stack_hi = 77;
	threads_enter(given);
	assert_ptr_equal(self.slot, given);
	assert_int_equal(given->stack_hi, 77);
	assert_int_equal(slots_in_use(), 1);
}

static void a_thread_takes_the_slot_that_the_scan_has_made_for_it(void **state)
{
	struct thread_slot *other = threads_claim(), *scanned = threads_claim();

	(void)state;
	scanned->tid = os_gettid();
	scanned->scanned = true;
	threads_enter(NULL);
	assert_ptr_equal(self.slot, scanned);
	threads_release(other);
}

static void two_threads_draw_different_numbers(void **state)
{
	uint64_t first;

	(void)state;
	threads_enter(NULL);
	first = self.random;
	threads_leave();
	threads_enter(NULL);
	assert_true(self.random != first);
}

static void check_fork(void)
{
	uint64_t random = self.random;

	/* Somebody was between the claim of a slot and its number. */
	slots[7]->number = 0;
	threads_after_fork();
	CHILD_DEMAND(slots_in_use() == 1);
	CHILD_DEMAND(self.random != random && self.random != 0);
	CHILD_DEMAND(self.tid == os_gettid() && self.tid != 0);
	CHILD_DEMAND(threads_find(self.tid) == self.slot);
	CHILD_DEMAND(self.slot->timer == 0);
	CHILD_DEMAND(self.slot->stack_hi == 77);
}

static void a_fork_child_has_one_thread_and_no_timer(void **state)
{
	(void)state;
	threads_enter(NULL);
	self.slot->timer = 5;
	self.slot->stack_hi = 77;
	claim_many();
	slots[3]->tid = 77;
	assert_child(check_fork);
	assert_int_equal(slots_in_use(), MANY + 1);
	release_many();
}

static void check_claims(void)
{
	struct thread_slot *parents[MANY];

	memcpy(parents, slots, sizeof(slots));
	threads_after_fork();
	claim_many();
	CHILD_DEMAND(memcmp(parents, slots, sizeof(slots)) == 0);
	for (unsigned i = 0; i < MANY; i++)
		CHILD_DEMAND(slots[i]->tid == 0 && slots[i]->timer == 0 && slots[i]->held == 0);
	CHILD_DEMAND(slots_in_use() == MANY + 1);
}

static void a_fork_child_claims_nothing_of_its_parents_threads(void **state)
{
	(void)state;
	threads_enter(NULL);
	claim_many();
	for (unsigned i = 0; i < MANY; i++)
		slots[i]->tid = slots[i]->timer = slots[i]->held = 77;
	assert_child(check_claims);
	release_many();
}

static void check_before_fork_is_settled(void)
{
	struct self parents = self;

	self = (struct self){ .phase = SELF_NEW };
	threads_enter(NULL);
	CHILD_DEMAND(self.phase == SELF_NEW && self.slot == NULL);
	CHILD_DEMAND(threads_claim() == NULL);
	self = parents;
	threads_after_fork();
	self = (struct self){ .phase = SELF_NEW };
	threads_enter(NULL);
	CHILD_DEMAND(self.phase == SELF_READY && self.slot != NULL);
}

static void in_a_fork_child_no_thread_enters_before_it_has_settled(void **state)
{
	(void)state;
	threads_enter(NULL);
	assert_child(check_before_fork_is_settled);
}

static void check_fork_without_a_slot(void)
{
	threads_after_fork();
	CHILD_DEMAND(slots_in_use() == 0);
	CHILD_DEMAND(self.tid == os_gettid() && self.slot == NULL);
}

static void a_fork_child_may_have_no_slot(void **state)
{
	(void)state;
	claim_many();
	assert_child(check_fork_without_a_slot);
	release_many();
}

/* --- samples that are left by a jump --------------------------------------------------------- */

static bool is_in_there;

static __attribute__((noinline)) void ask(void)
{
	is_in_there = threads_is_in(CAPTURE_HEAP);
	__asm__ volatile("" ::: "memory");
}

/* As from a handler that comes in its midst. */
static __attribute__((noinline)) void begin_and_ask(void)
{
	threads_begin(CAPTURE_HEAP);
	ask();
	__asm__ volatile("" ::: "memory");      /* it is a call, not a jump */
}

static __attribute__((noinline)) void begin_further_down(void)
{
	volatile char room[4096];

	room[0] = 0;
	begin_and_ask();
	room[1] = room[0];
}

static void a_sample_that_was_left_by_a_jump_keeps_nobody_out(void **state)
{
	uint32_t beat;

	(void)state;
	threads_enter(NULL);
	begin_further_down();           /* on a stack of unknown bounds */
	assert_true(is_in_there);
	ask();
	assert_true(is_in_there);
	threads_end(CAPTURE_HEAP);
	self.slot->stack_lo = (uintptr_t)__builtin_frame_address(0) - 65536;
	self.slot->stack_hi = self.slot->stack_lo + 2 * 65536;
	begin_further_down();
	assert_true(is_in_there);
	beat = self.slot->visit[CAPTURE_HEAP].beat;
	assert_int_equal(beat % 2, 1);
	ask();
	assert_false(is_in_there);
	/* The next is another, for whoever waits for the end of this one. */
	threads_begin(CAPTURE_HEAP);
	assert_int_equal(self.slot->visit[CAPTURE_HEAP].beat % 2, 1);
	assert_int_not_equal(self.slot->visit[CAPTURE_HEAP].beat, beat);
	ask();
	assert_true(is_in_there);
	threads_end(CAPTURE_HEAP);
	ask();
	assert_false(is_in_there);
}

/* Three looks at the clock for so many samples; one that was left while it was timed is forgotten. */
static void one_sample_in_many_is_timed(void **state)
{
	const struct thread_visit *v;
	unsigned timed = 0;

	(void)state;
	threads_enter(NULL);
	v = &self.slot->visit[CAPTURE_HEAP];
	sys_refuse(SYS_clock_gettime, 0, 0);
	for (unsigned i = 0; i < 3 * SPENT_EVERY; i++) {
		threads_begin(CAPTURE_HEAP);
		timed += v->spent.begin_ns != 0;
		threads_end(CAPTURE_HEAP);
		assert_int_equal(v->spent.begin_ns, 0);
	}
	assert_int_equal(timed, 3);
	assert_int_equal(sys_refused.seen, 3 * 3);
	do
		threads_begin(CAPTURE_HEAP);
	while (v->spent.begin_ns == 0);
	threads_begin(CAPTURE_HEAP);
	assert_int_equal(v->spent.begin_ns, 0);
	threads_end(CAPTURE_HEAP);
	assert_int_equal(sys_refused.seen, 3 * 3 + 2);
}

static uintptr_t lo_after_cut(uintptr_t start, size_t bytes)
{
	self.slot->stack_lo = 0x10000;
	self.slot->stack_hi = 0x20000;
	threads_cut_stack(start, bytes);
	assert_int_equal(self.slot->stack_hi, 0x20000);
	return self.slot->stack_lo;
}

static void a_stack_begins_above_what_was_cut_out_of_it(void **state)
{
	(void)state;
	threads_cut_stack(0, SIZE_MAX);         /* without a slot */
	threads_enter(NULL);
	assert_non_null(self.slot);
	assert_int_equal(lo_after_cut(0x14000, 0x1000), 0x15000);
	assert_int_equal(lo_after_cut(0xf000, 0x2000), 0x11000);
	assert_int_equal(lo_after_cut(0x1f000, 0x3000), 0x20000);
	assert_int_equal(lo_after_cut(0, SIZE_MAX), 0x20000);
	assert_int_equal(lo_after_cut(0xf000, 0x1000), 0x10000);
	assert_int_equal(lo_after_cut(0x20000, 0x1000), 0x10000);
	/* Which the kernel will refuse, or take for nothing. */
	assert_int_equal(lo_after_cut(0x14000, SIZE_MAX), 0x10000);
	assert_int_equal(lo_after_cut(0x14008, 0x1000), 0x10000);
	assert_int_equal(lo_after_cut(0x14000, 0), 0x10000);
}

#define TEST(f) cmocka_unit_test_teardown(f, leave_nothing)

int main(void)
{
	/* The first two need slots never to have been had. */
	const struct CMUnitTest tests[] = {
		TEST(before_init_there_are_no_slots),
		TEST(without_memory_there_are_no_slots),
		TEST(more_threads_than_a_chunk_has_get_slots_of_their_own),
		TEST(slots_are_used_again),
		TEST(a_claimed_slot_knows_nothing_of_its_last_thread),
		TEST(a_released_slot_belongs_to_no_thread),
		TEST(the_walk_over_slots_ends_when_it_is_told_to),
		TEST(the_walk_leaves_the_pages_of_free_slots_alone),
		TEST(what_is_kept_is_nobody_elses),
		TEST(a_thread_enters_and_leaves),
		TEST(a_thread_knows_its_name),
		TEST(a_thread_takes_the_slot_it_was_given),
		TEST(a_thread_takes_the_slot_that_the_scan_has_made_for_it),
		TEST(two_threads_draw_different_numbers),
		TEST(a_fork_child_has_one_thread_and_no_timer),
		TEST(a_fork_child_may_have_no_slot),
		TEST(a_fork_child_claims_nothing_of_its_parents_threads),
		TEST(in_a_fork_child_no_thread_enters_before_it_has_settled),
		TEST(a_stack_begins_above_what_was_cut_out_of_it),
		TEST(a_sample_that_was_left_by_a_jump_keeps_nobody_out),
		TEST(one_sample_in_many_is_timed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
