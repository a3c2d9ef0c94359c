/* What waits and charges become, with a clock of paper: block, mutex, pairs, and nothing where there
 * is nothing to count.  With threads: locks_threads_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/odds.h"
#include "sampler/clock.h"
#include "sampler/count.h"
#include "sampler/lock_ids.h"
#include "sampler/lock_slots.h"
#include "sampler/locks.h"
#include "sampler/modules.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/reclaim.h"
#include "sampler/self.h"
#include "sampler/threads.h"
#include "sampler/ticks.h"

#define ONE    RANDOM_WEIGHT_ONE
#define BUDGET (2u << 20)

static uint64_t paper_ns = 1000000000;
static int      lock, other;    /* never touched */

static int paper(clockid_t clock, struct timespec *t)
{
	(void)clock;
	*t = (struct timespec){ (time_t)(paper_ns / 1000000000), (long)(paper_ns % 1000000000) };
	return 0;
}

/* Instead of the processor's. */
uint64_t ticks_now(void)
{
	return paper_ns;
}

void ticks_forbid_counter(void)
{
}

struct sums { uint64_t contentions, ns; };

static struct sums sum(const struct generations *g)
{
	struct sums s = { 0, 0 };

	for (uint32_t row = 1; row < sites_end(&g->sites); row++) {
		uint64_t value[SITES_VALUES];
		struct site_key key;

		if (!sites_read(&g->sites, row, &key, value))
			continue;
		s.contentions += value[LOCKS_CONTENTIONS];
		s.ns += value[LOCKS_DELAY_NS];
	}
	return s;
}

static struct sums block_before, mutex_before;
static uint64_t dropped[COUNT_REASONS];

static struct sums block(void)
{
	struct sums s = sum(&locks_block_table);

	return (struct sums){ s.contentions - block_before.contentions, s.ns - block_before.ns };
}

static struct sums mutex(void)
{
	struct sums s = sum(&locks_mutex_table);

	return (struct sums){ s.contentions - mutex_before.contentions, s.ns - mutex_before.ns };
}

#define assert_sums(is, c, n)                                \
	do {                                                 \
		struct sums is_ = (is);                      \
		assert_int_equal(is_.contentions, (c));      \
		assert_int_equal(is_.ns, (n));               \
	} while (0)

static uint64_t lost(enum count reason)
{
	return count_get(reason) - dropped[reason];
}

static unsigned filter_sum(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < COUNT_OF(locks_filter); i++)
		n += locks_filter[i];
	assert_int_equal(locks_waits, n);
	return n;
}

static int begin(void **state)
{
	(void)state;
	paper_ns += 1000000000;
	locks_set_block_rate(1);
	locks_set_mutex_fraction(1);
	self.random = random_seed(odds_seed());
	memset(&self.lock_waits, 0, sizeof(self.lock_waits));
	memset(&self.lock_pauses, 0, sizeof(self.lock_pauses));
	memset(&self.lock_charges, 0, sizeof(self.lock_charges));
	block_before = sum(&locks_block_table);
	mutex_before = sum(&locks_mutex_table);
	for (unsigned i = 0; i < COUNT_REASONS; i++)
		dropped[i] = count_get((enum count)i);
	return 0;
}

/* Nobody is left in a slot. */
static int end(void **state)
{
	(void)state;
	return filter_sum() != 0 || self.lock.wait != NULL;
}

/* Who gives the lock back, ns from now. */
static void release(const void *l, uint64_t ns)
{
	struct locks_charge c;

	paper_ns += ns;
	if (!locks_is_awaited(l))
		return;
	locks_release_begin(&c, l);
	locks_release_end(&c);
}

static void wait_for(const void *l, uint64_t held_ns, uint64_t rest_ns)
{
	struct locks_wait w;

	locks_wait_begin(&w, l);
	if (held_ns != 0)
		release(l, held_ns);
	paper_ns += rest_ns;
	locks_wait_end(&w, LOCKS_GOT);
}

/* --- what counts where ----------------------------------------------------------------------- */

static void a_wait_is_block_and_its_holder_is_charged(void **state)
{
	(void)state;
	wait_for(&lock, 5000, 30);
	assert_sums(block(), ONE, 5030);
	assert_sums(mutex(), ONE, 5000);
}

static void a_pause_is_block_only(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_pause_begin(&w, NULL);
	assert_int_equal(filter_sum(), 0);
	paper_ns += 70000;
	locks_pause_end(&w, LOCKS_WAITED);
	assert_sums(block(), ONE, 70000);
	assert_sums(mutex(), 0, 0);
}

static void who_was_refused_has_not_waited(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_wait_begin(&w, &lock);
	assert_int_equal(filter_sum(), 1);
	paper_ns += 5000;
	locks_wait_end(&w, LOCKS_REFUSED);
	locks_pause_begin(&w, NULL);
	paper_ns += 5000;
	locks_pause_end(&w, LOCKS_REFUSED);
	assert_sums(block(), 0, 0);
	assert_sums(mutex(), 0, 0);
	wait_for(&lock, 5000, 0);
	assert_sums(mutex(), ONE, 5000);
}

static bool is_unknown(uint32_t row)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;
	frame_t frame[2];

	return sites_read(&locks_mutex_table.sites, row, &key, value) &&
	       generations_frames(&locks_mutex_table, key.stack, frame, 2) == 1 &&
	       frame[0] == FRAME_LOCK_HOLDER_UNKNOWN &&
	       lock_ids_address(key.size) == (const void *)&lock;
}

/* Its holder is in another process; a moment without sleep is nobody's. */
static void what_nobody_was_charged_for_is_unknown(void **state)
{
	unsigned rows = 0;

	(void)state;
	wait_for(&lock, 0, 900);
	assert_sums(mutex(), 0, 0);
	wait_for(&lock, 0, 5000);
	assert_sums(mutex(), ONE, 5000);
	assert_sums(block(), 2 * ONE, 5900);
	for (uint32_t row = 1; row < sites_end(&locks_mutex_table.sites); row++)
		rows += is_unknown(row);
	assert_int_equal(rows, 1);
}

static void the_lock_is_in_the_key(void **state)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;
	unsigned seen = 0;

	(void)state;
	wait_for(&lock, 5000, 0);
	wait_for(&other, 5000, 0);
	for (uint32_t row = GENERATIONS_ROWS; row < sites_end(&locks_block_table.sites); row++) {
		if (!sites_read(&locks_block_table.sites, row, &key, value))
			continue;
		seen |= lock_ids_address(key.size) == (const void *)&lock ? 1 : 0;
		seen |= lock_ids_address(key.size) == (const void *)&other ? 2 : 0;
	}
	assert_int_equal(seen, 3);
}

static void one_unlock_pays_for_all_who_wait(void **state)
{
	struct locks_wait w;
	uint64_t begin_ns = paper_ns;
	uint32_t slot = lock_slots_join(&lock, 4, &begin_ns);   /* another thread */

	(void)state;
	paper_ns += 1000;
	locks_wait_begin(&w, &lock);
	release(&lock, 2000);
	assert_sums(mutex(), 5 * ONE, 4 * 3000 + 2000);
	release(&lock, 500);
	assert_sums(mutex(), 5 * ONE, 4 * 3500 + 2500);
	locks_wait_end(&w, LOCKS_GOT);
	lock_slots_leave(slot, 4, begin_ns, false, NULL);
	release(&lock, 500);
	assert_sums(mutex(), 5 * ONE, 4 * 3500 + 2500);
}

static void a_pair_has_both_rows(void **state)
{
	struct lock_pair p, found = { 0 };
	unsigned pairs = 0;

	(void)state;
	self.labels = 4711;
	wait_for(&lock, 5000, 30);
	for (uint32_t i = 0; i < LOCK_PAIRS; i++) {
		struct site_key key;
		uint64_t value[SITES_VALUES];

		if (!lock_pairs_at(i, &locks_block_table, &locks_mutex_table, &p) ||
		    p.waiter == 0 ||
		    !sites_read(&locks_block_table.sites, p.waiter, &key, value) ||
		    key.labels != 4711)
			continue;
		pairs++;
		found = p;
	}
	self.labels = 0;
	assert_int_equal(pairs, 1);
	assert_true(found.contentions == ONE && found.delay_ns == 5030);
	assert_true(found.holder >= GENERATIONS_ROWS);
	assert_int_equal(locks_mutex_table.sites.row[found.holder].labels, 4711);
}

/* --- rates ----------------------------------------------------------------------------------- */

static void at_rate_0_nothing_is_chosen(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_set_block_rate(0);
	wait_for(&lock, 5000, 100);
	assert_sums(block(), 0, 0);
	assert_sums(mutex(), ONE, 5000);
	locks_set_mutex_fraction(0);
	locks_wait_begin(&w, &lock);
	assert_true(w.begin_ns == 0 && filter_sum() == 0);
	locks_wait_end(&w, LOCKS_GOT);
	locks_set_block_rate(1);
	locks_wait_begin(&w, &lock);
	assert_int_equal(filter_sum(), 0);
	paper_ns += 100;
	locks_wait_end(&w, LOCKS_GOT);
	assert_sums(block(), ONE, 100);
	assert_sums(mutex(), ONE, 5000);
}

/* Waits of d ns, some short; seldom, so that all are chosen. */
static void block_counts_in_proportion(void **state)
{
	const double rate = 10000;
	double truth[2] = { 0, 0 }, variance[2] = { 0, 0 };
	struct sums is;

	(void)state;
	locks_set_block_rate(10000);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t ns = 100 + random_next(&self.random) % 12000;
		double scale = (double)ns < rate ? rate / (double)ns : 1;

		paper_ns += 2000000;
		wait_for(&lock, 0, ns);
		truth[0] += 1;
		truth[1] += (double)ns;
		variance[0] += scale - 1;
		variance[1] += (double)ns * (double)ns * (scale - 1);
	}
	is = block();
	assert_true(fabs((double)is.contentions / ONE - truth[0]) < odds_of_sum(variance[0], 100));
	assert_true(fabs((double)is.ns - truth[1]) < odds_of_sum(variance[1], rate));
	assert_true(is.contentions != 20000 * (uint64_t)ONE);
}

static void one_in_n_releases_counts_for_n(void **state)
{
	enum { N = 20000, FRACTION = 7 };
	struct sums is;
	double far = odds_of_sum(N * (FRACTION - 1.0), FRACTION);

	(void)state;
	locks_set_mutex_fraction(FRACTION);
	for (unsigned i = 0; i < N; i++) {
		paper_ns += 20000000;
		wait_for(&lock, 5000, 0);
	}
	is = mutex();
	assert_true(is.ns == is.contentions / ONE * 5000);
	assert_int_equal(is.contentions % (FRACTION * ONE), 0);
	assert_true(fabs((double)is.contentions / ONE - N) < far);
	assert_sums(block(), N * (uint64_t)ONE, N * UINT64_C(5000));
}

/* A wait every 2 us, for two seconds: few are chosen, and they stand for all. */
static void a_hot_lock_is_counted_by_few_of_its_waits(void **state)
{
	enum { N = 1000000 };
	double variance = 0, most = 1;
	unsigned chosen = 0;
	struct sums b, m;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		double weight = (double)(UINT64_C(1) << self.lock_waits.shift);
		double rate = (double)(UINT64_C(1) << self.lock_charges.shift);
		struct locks_wait w;

		locks_wait_begin(&w, &lock);
		chosen += w.begin_ns != 0;
		release(&lock, 1500);
		paper_ns += 500;
		locks_wait_end(&w, LOCKS_GOT);
		/* One that is chosen is charged with 1500 ns for each of its weight. */
		if (rate > 1500 * weight)
			weight = rate / 1500;
		variance += weight - 1;
		most = fmax(most, weight);
	}
	b = block();
	m = mutex();
	print_message("%u of %u chosen: %.0f, %.0f contentions\n", chosen, N,
		      (double)b.contentions / ONE, (double)m.contentions / ONE);
	assert_true(chosen < 2 * 4000);
	assert_true(fabs((double)b.contentions / ONE - N) < odds_of_sum(variance, most));
	assert_true(fabs((double)b.ns / 2000 - N) < odds_of_sum(variance, most));
	assert_true(fabs((double)m.contentions / ONE - N) < odds_of_sum(variance, most));
	assert_true(fabs((double)m.ns / 1500 - N) < odds_of_sum(variance, most));
}

/* --- waits that do not end as they should ---------------------------------------------------- */

static bool is_awaited(const void *l)
{
	struct lock_slots_due due;

	lock_slots_charge(l, &due);
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
					  &at);
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
	unsigned cell = locks_cell(&lock);

	(void)state;
	locks_filter[cell] = 254;
	wait_for(&lock, 5000, 0);
	assert_int_equal(locks_filter[cell], 255);
	wait_for(&lock, 5000, 0);
	assert_int_equal(locks_filter[cell], 255);
	assert_int_equal(locks_waits, 0);
	assert_false(locks_is_awaited(&lock));
	locks_waits = 1;        /* for another lock */
	assert_true(locks_is_awaited(&lock));
	locks_waits = 0;
	assert_sums(mutex(), 2 * ONE, 10000);
	locks_filter[cell] = 0;
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

static int init(void **state)
{
	char here;

	(void)state;
	threads_init(64);
	if (modules_scan(true) < 0)
		return 1;
	clock_set_reader(paper);
	threads_enter(NULL);
	if (self.slot == NULL || locks_init(BUDGET) < 0)
		return 1;
	self.slot->stack_hi = (uintptr_t)&here + (64u << 10);
	self.slot->stack_lo = self.slot->stack_hi - (1u << 20);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_wait_is_block_and_its_holder_is_charged),
		TEST(a_pause_is_block_only),
		TEST(who_was_refused_has_not_waited),
		TEST(what_nobody_was_charged_for_is_unknown),
		TEST(the_lock_is_in_the_key),
		TEST(one_unlock_pays_for_all_who_wait),
		TEST(a_pair_has_both_rows),
		TEST(at_rate_0_nothing_is_chosen),
		TEST(block_counts_in_proportion),
		TEST(one_in_n_releases_counts_for_n),
		TEST(a_hot_lock_is_counted_by_few_of_its_waits),
		TEST(a_wait_inside_a_wait_is_block_only),
		TEST(a_wait_that_was_left_is_taken_out_at_the_next),
		TEST(a_thread_that_ends_waits_no_more),
		TEST(without_a_slot_a_wait_is_block_only),
		TEST(the_filter_stays_at_255),
		TEST(errno_stays),
		TEST(a_sealed_process_records_nothing),
		TEST(where_no_stack_can_be_taken_it_is_evicted),
		TEST(threads_that_are_gone_count_nothing),
		TEST(a_child_begins_with_nothing),
		TEST(totals_survive_eviction),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
