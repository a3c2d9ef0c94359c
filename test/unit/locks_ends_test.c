/* Waits that end in another way than with an unlock of the holder's, or find no room; with a clock of
 * paper.  What becomes of the others: locks_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/paper_locks.h"
#include "sampler/lock_slots.h"
#include "sampler/os.h"
#include "sampler/reclaim.h"

/* --- waits that do not end as they should ---------------------------------------------------- */

static bool is_awaited(const void *l)
{
	struct lock_slots_due due;

	lock_slots_charge(l, 0, &due);
	return due.slot != 0;
}

/* Of a handler, in the midst of another wait. */
static NOINLINE void wait_deeper(const void *l)
{
	wait_for(l, 2000, 0);
}

static void a_wait_inside_a_wait_is_block_only(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_wait_begin(&w, &lock);
	wait_deeper(&other);
	assert_sums(block(), ONE, 2000);
	assert_sums(mutex(), 0, 0);
	assert_true(is_awaited(&lock));
	assert_true(self.lock.wait == &w);
	locks_wait_end(&w, LOCKS_GOT);
	assert_false(is_awaited(&lock));
}

static jmp_buf away;

static NOINLINE void wait_and_jump(const void *l)
{
	struct locks_wait w;

	locks_wait_begin(&w, l);
	assert_true(is_awaited(l));
	longjmp(away, 1);
}

static NOINLINE void wait_deep_below(const void *l)
{
	char room[4096];

	memset(room, 0xa5, sizeof(room));
	__asm__ volatile("" : : "r"(room) : "memory");
	wait_deeper(l);
}

static void a_wait_that_was_left_is_taken_out_at_the_next(void **state)
{
	(void)state;
	for (volatile unsigned deep = 0; deep < 2; deep++) {
		if (setjmp(away) == 0)
			wait_and_jump(&lock);
		assert_true(is_awaited(&lock));
		if (deep)
			wait_deep_below(&other);        /* over what was the wait */
		else
			wait_for(&other, 2000, 0);
		assert_false(is_awaited(&lock));
		assert_int_equal(filter_sum(), 0);
	}
	assert_sums(mutex(), 2 * ONE, 4000);
}

static void a_thread_that_ends_waits_no_more(void **state)
{
	(void)state;
	if (setjmp(away) == 0)
		wait_and_jump(&lock);
	locks_thread_ends();
	assert_false(is_awaited(&lock));
	assert_int_equal(filter_sum(), 0);
	locks_thread_ends();
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void without_a_slot_a_wait_is_block_only(void **state)
{
	static uint32_t slot[1u << 16]; /* until there is no room for anything */
	uint64_t at = paper_ns;

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(slot); i++)
		slot[i] = lock_slots_join((const void *)(random_next(&self.random) >> 19 << 3), 1,
					  &at, 0);
	for (unsigned i = 0; i < 50; i++) {
		paper_ns += 20000000;   /* seldom */
		wait_for((char *)&lock + 1000000 + 4 * i, 0, 5000);
	}
	for (unsigned i = 0; i < COUNT_OF(slot); i++)
		if (slot[i] != 0)
			lock_slots_leave(slot[i], 1, at, false, NULL);
	assert_int_equal(lost(COUNT_LOCK_NO_SLOT), 50);
	assert_sums(block(), 50 * ONE, 250000);
	assert_sums(mutex(), 0, 0);
}

/* A cell that was full cannot say any more that nobody waits. */
static void the_filter_stays_at_255(void **state)
{
	_Atomic uint16_t *cell = locks_cell(&lock);

	(void)state;
	*cell = 254;
	wait_for(&lock, 5000, 0);
	assert_int_equal(*cell & LOCK_CELL_WAITS, 255);
	wait_for(&lock, 5000, 0);
	assert_int_equal(*cell & LOCK_CELL_WAITS, 255);
	assert_int_equal(locks_waits, 0);
	assert_false(locks_is_awaited(&lock));
	locks_waits = 1;        /* for another lock */
	assert_true(locks_is_awaited(&lock));
	locks_waits = 0;
	assert_sums(mutex(), 2 * ONE, 10000);
	*cell = 0;
}

static void errno_stays(void **state)
{
	(void)state;
	errno = 77;
	wait_for(&lock, 5000, 0);
	wait_for(&lock, 0, 5000);
	assert_int_equal(errno, 77);
}

static void a_sealed_process_records_nothing(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_wait_begin(&w, &lock);
	threads_seal(true);
	paper_ns += 5000;
	release(&lock, 0);
	locks_wait_end(&w, LOCKS_GOT);
	locks_wait_begin(&w, &lock);
	assert_true(w.begin_ns == 0);
	locks_wait_end(&w, LOCKS_GOT);
	threads_seal(false);
	assert_sums(block(), 0, 0);
	assert_sums(mutex(), 0, 0);
	assert_int_equal(filter_sum(), 0);
}

/* Of a thread without a slot, or one that was left in the midst of a sample. */
static void where_no_stack_can_be_taken_it_is_evicted(void **state)
{
	struct thread_slot *slot = self.slot;

	(void)state;
	self.slot = NULL;
	wait_for(&lock, 5000, 0);
	self.slot = slot;
	assert_int_equal(lost(COUNT_LOCK_NESTED), 2);
	assert_sums(block(), ONE, 5000);
	assert_sums(mutex(), ONE, 5000);
}

/* It may be killed in the slot.  Only whoever has marked itself is asked who it is, and vfork's mark
 * goes when its child has gone. */
static void a_vfork_child_has_no_slot(void **state)
{
	static const uint8_t marks[] = { SELF_VFORKED, SELF_CLONED, SELF_VFORKED | SELF_CLONED };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(marks); i++) {
		self.shared = marks[i];
		self.tid++;
		wait_for(&lock, 5000, 0);
		assert_sums(mutex(), i * ONE, i * 5000);
		assert_int_equal(self.shared, marks[i]);
		self.tid--;
		wait_for(&lock, 5000, 0);
		assert_sums(mutex(), (i + 1) * ONE, (i + 1) * 5000);
		assert_int_equal(self.shared, marks[i] & SELF_CLONED);
	}
	self.shared = SELF_ALONE;
}

static void threads_that_are_gone_count_nothing(void **state)
{
	struct locks_wait w;

	(void)state;
	self.phase = SELF_GONE;
	locks_wait_begin(&w, &lock);
	assert_true(w.begin_ns == 0);
	self.phase = SELF_READY;
}

static void a_child_begins_with_nothing(void **state)
{
	struct locks_wait w;
	int status;
	pid_t child;

	(void)state;
	wait_for(&lock, 5000, 0);
	locks_wait_begin(&w, &lock);
	child = fork();
	if (child == 0) {
		bool empty;
		struct lock_pair p;

		threads_after_fork();
		locks_after_fork();
		empty = sum(&locks_block_table).ns == 0 && sum(&locks_mutex_table).ns == 0 &&
			filter_sum() == 0 && !is_awaited(&lock);
		for (uint32_t i = 0; i < LOCK_PAIRS; i++)
			empty = empty && !lock_pairs_at(i, &locks_block_table,
							&locks_mutex_table, &p);
		/* The wait that the parent is in ends here, too. */
		locks_wait_end(&w, LOCKS_GOT);
		wait_for(&lock, 5000, 0);
		_exit(empty && sum(&locks_mutex_table).ns == 5000 && filter_sum() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	locks_wait_end(&w, LOCKS_GOT);
}

/* --- eviction -------------------------------------------------------------------------------- */

static unsigned told;

static void note_move(uint32_t row, void *arg)
{
	(void)row;
	(void)arg;
	told++;
}

static void totals_survive_eviction(void **state)
{
	enum { N = 40000 };
	uint64_t block_last = 0, mutex_last = 0, pairs_ns = 0, evicted_ns = 0;
	struct lock_pair p;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		self.labels = (uint16_t)(i + 1);
		paper_ns += 20000000;
		wait_for(&lock, 5000, 0);
		if (i % 200 != 0)
			continue;
		for (unsigned k = 0; k < 20; k++) {
			locks_block_table.reclaim.not_before_ns = 0;
			locks_mutex_table.reclaim.not_before_ns = 0;
			reclaim_go_on(&locks_block_table, false, note_move, NULL);
			reclaim_go_on(&locks_mutex_table, false, note_move, NULL);
		}
		assert_true(block().ns >= block_last && mutex().ns >= mutex_last);
		block_last = block().ns;
		mutex_last = mutex().ns;
	}
	self.labels = 0;
	print_message("%u rows evicted\n", told);
	assert_true(told > 10000 && lost(COUNT_LOCK_EVICTED) > 10000);
	assert_sums(block(), N * (uint64_t)ONE, N * UINT64_C(5000));
	assert_sums(mutex(), N * (uint64_t)ONE, N * UINT64_C(5000));
	/* Pairs of sites that are gone are still there, and of no site that is. */
	for (uint32_t i = 0; i < LOCK_PAIRS; i++) {
		if (!lock_pairs_at(i, &locks_block_table, &locks_mutex_table, &p))
			continue;
		pairs_ns += p.delay_ns;
		evicted_ns += p.waiter == 0 && p.holder == 0 ? p.delay_ns : 0;
		if (p.waiter != 0 && p.holder != 0 &&
		    locks_block_table.sites.row[p.waiter].labels != 0)
			assert_int_equal(locks_block_table.sites.row[p.waiter].labels,
					 locks_mutex_table.sites.row[p.holder].labels);
	}
	assert_true(pairs_ns >= N * UINT64_C(5000));
	assert_true(evicted_ns > N / 2 * UINT64_C(5000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_wait_inside_a_wait_is_block_only),
		TEST(a_wait_that_was_left_is_taken_out_at_the_next),
		TEST(a_thread_that_ends_waits_no_more),
		TEST(without_a_slot_a_wait_is_block_only),
		TEST(the_filter_stays_at_255),
		TEST(errno_stays),
		TEST(a_sealed_process_records_nothing),
		TEST(where_no_stack_can_be_taken_it_is_evicted),
		TEST(a_vfork_child_has_no_slot),
		TEST(threads_that_are_gone_count_nothing),
		TEST(a_child_begins_with_nothing),
		TEST(totals_survive_eviction),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
