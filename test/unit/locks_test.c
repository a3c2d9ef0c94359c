/* What waits and charges become, with a clock of paper: block, mutex, pairs, and nothing where there
 * is nothing to count.  How they end otherwise: locks_ends_test.c; with threads: locks_threads_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/paper_locks.h"
#include "sampler/lock_ids.h"
#include "sampler/lock_slots.h"

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
	uint32_t slot = lock_slots_join(&lock, 4, &begin_ns, 0);   /* another thread */

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

/* A wait every ms is not many, and all are taken; but each of these was paid for by some 20 of 800
 * unlocks, which is as dear as three waits: half of them are, or a quarter. */
static void waits_that_many_holders_pay_for_are_chosen_less_often(void **state)
{
	enum { N = 1000, HOLDERS = 800 };
	unsigned chosen = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct locks_wait w;

		locks_wait_begin(&w, &lock);
		chosen += w.begin_ns != 0;
		for (unsigned k = 0; k < HOLDERS; k++)
			release(&lock, 1250);
		locks_wait_end(&w, LOCKS_GOT);
	}
	print_message("%u of %u chosen\n", chosen, N);
	/* 512 at most, with a deviation of 15; what comes before the first half is left out may take some
	 * dozens.  Were they as cheap as others, it would be all. */
	assert_in_range(chosen, 2, N * 3 / 4);
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
		TEST(waits_that_many_holders_pay_for_are_chosen_less_often),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
