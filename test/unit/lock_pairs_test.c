/* Who waited for whom, while rows are given to other sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/crowd.h"
#include "fake/stacks_add.h"
#include "sampler/lock_pairs.h"
#include "sampler/random.h"

static const struct generations_kind kind = {
	.rows_eighths = 4, .reclaim_eighths = 6, .samples_eighths = 8, .evicted = COUNT_REASONS,
};

static struct generations waiters, holders;

static uint32_t row_of(struct generations *g, frame_t stack)
{
	uint64_t now = generations_now(g);
	uint32_t id = stacks_add(&generations_at(g, now)->stacks, &stack, 1);
	struct site_key key = { .stack = generations_stack(now, id) };

	return generations_row(g, now, &key);
}

static struct lock_site waiter(frame_t stack)
{
	return lock_pairs_site(&waiters, row_of(&waiters, stack));
}

static struct lock_site holder(frame_t stack)
{
	return lock_pairs_site(&holders, row_of(&holders, stack));
}

/* What is counted for these rows, in how many cells. */
static struct lock_pair sum(uint32_t w, uint32_t h, unsigned *cells)
{
	struct lock_pair all = { w, h, 0, 0 }, p;

	*cells = 0;
	for (uint32_t i = 0; i < LOCK_PAIRS; i++)
		if (lock_pairs_at(i, &waiters, &holders, &p) && p.waiter == w && p.holder == h) {
			all.contentions += p.contentions;
			all.delay_ns += p.delay_ns;
			++*cells;
		}
	return all;
}

#define assert_pair(w, h, c, ns, n)                            \
	do {                                                   \
		unsigned cells_;                               \
		struct lock_pair p_ = sum((w), (h), &cells_);  \
		assert_int_equal(cells_, (n));                 \
		assert_int_equal(p_.contentions, (c));         \
		assert_int_equal(p_.delay_ns, (ns));           \
	} while (0)

static int begin(void **state)
{
	(void)state;
	lock_pairs_after_fork();        /* empty */
	generations_after_fork(&waiters);
	generations_after_fork(&holders);
	return 0;
}

static void a_pair_adds_up(void **state)
{
	struct lock_site a = waiter(10), b = waiter(11), c = holder(20), d = holder(10);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		lock_pairs_add(a, c, 1, 10);
		lock_pairs_add(a, d, 2, 20);
		lock_pairs_add(b, c, 3, 30);
	}
	assert_pair(a.row, c.row, 100, 1000, 1);
	assert_pair(a.row, d.row, 200, 2000, 1);
	assert_pair(b.row, c.row, 300, 3000, 1);
	assert_pair(b.row, d.row, 0, 0, 0);
	assert_pair(0, 0, 0, 0, 0);
}

static void a_site_that_nobody_knows_is_row_0(void **state)
{
	static const struct lock_site none;
	struct lock_site a = waiter(10), c = holder(20);

	(void)state;
	lock_pairs_add(a, none, 1, 10);
	lock_pairs_add(none, c, 2, 20);
	lock_pairs_add(none, none, 4, 40);
	assert_pair(a.row, 0, 1, 10, 1);
	assert_pair(0, c.row, 2, 20, 1);
	assert_pair(0, 0, 4, 40, 1);
	assert_int_equal(lock_pairs_site(&waiters, GENERATIONS_NO_ROOM).row, 0);
	assert_int_equal(lock_pairs_site(&waiters, GENERATIONS_EVICTED).row, 0);
}

/* The row is given back, and another site has it. */
static void what_was_evicted_is_not_taken_for_who_came_after(void **state)
{
	struct lock_site a = waiter(10), c = holder(20), again;

	(void)state;
	lock_pairs_add(a, c, 1, 10);
	sites_give(&waiters.sites, a.row);
	assert_pair(0, c.row, 1, 10, 1);
	waiters.sites.taken = a.row;            /* the next one that is handed out */
	again = waiter(4711);
	assert_int_equal(again.row, a.row);
	assert_pair(a.row, c.row, 0, 0, 0);
	assert_pair(0, c.row, 1, 10, 1);
	lock_pairs_add(again, c, 5, 50);
	assert_pair(a.row, c.row, 5, 50, 1);
	assert_pair(0, c.row, 1, 10, 1);
	/* Again and again, wherever its cell is. */
	for (unsigned i = 0; i < 500; i++) {
		sites_give(&waiters.sites, a.row);
		waiters.sites.taken = a.row;
		again = waiter(5000 + i);
		assert_int_equal(again.row, a.row);
		lock_pairs_add(again, c, 1, 10);
		assert_pair(a.row, c.row, 1, 10, 1);
	}
}

static void a_row_beyond_the_table_is_nobody(void **state)
{
	(void)state;
	assert_int_equal(lock_pairs_site(&waiters, UINT32_MAX).row, 0);
	assert_int_equal(lock_pairs_site(&waiters, sites_end(&waiters.sites)).row, 0);
}

static void pairs_without_room_are_evicted(void **state)
{
	enum { N = 100 };
	uint64_t contentions = 0, ns = 0;
	struct lock_pair p;
	unsigned cells = 0;

	(void)state;
	for (unsigned i = 0; i < N * N; i++)
		lock_pairs_add(waiter(100 + i % N), holder(100 + i / N), 1, 10);
	for (uint32_t i = 0; i < LOCK_PAIRS; i++) {
		if (!lock_pairs_at(i, &waiters, &holders, &p))
			continue;
		cells++;
		contentions += p.contentions;
		ns += p.delay_ns;
	}
	assert_int_equal(contentions, N * N);
	assert_int_equal(ns, 10 * N * N);
	assert_in_range(cells, LOCK_PAIRS * 9 / 10, LOCK_PAIRS);
	assert_true(sum(0, 0, &cells).contentions >= N * N - LOCK_PAIRS);
	assert_false(lock_pairs_at(LOCK_PAIRS, &waiters, &holders, &p));
}

/* --- threads --------------------------------------------------------------------------------- */

#define THREADS 6
#define EACH    20000

static void take_part(unsigned who)
{
	uint64_t random = random_seed(who + 1);

	for (unsigned i = 0; i < EACH; i++) {
		uint64_t n = random_next(&random) >> 40;

		CROWD_DEMAND(waiter(1000 + n % 16).row != 0);
		lock_pairs_add(waiter(1000 + n % 16), holder(1000 + n / 16 % 16), 1, 7);
	}
}

static void threads_lose_nothing(void **state)
{
	uint64_t contentions = 0;
	unsigned cells = 0;
	struct lock_pair p;

	(void)state;
	crowd_run(THREADS, take_part);
	crowd_check();
	for (uint32_t i = 0; i < LOCK_PAIRS; i++) {
		if (!lock_pairs_at(i, &waiters, &holders, &p))
			continue;
		cells++;
		contentions += p.contentions;
		assert_true(p.waiter != 0 && p.holder != 0);
		assert_int_equal(p.delay_ns, 7 * p.contentions);
	}
	assert_int_equal(contentions, THREADS * EACH);
	assert_int_equal(cells, 256);
}

static int init(void **state)
{
	(void)state;
	if (lock_pairs_init() < 0 || generations_init(&waiters, &kind, 1u << 20) < 0)
		return 1;
	return generations_init(&holders, &kind, 1u << 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(a_pair_adds_up),
		TEST(a_site_that_nobody_knows_is_row_0),
		TEST(what_was_evicted_is_not_taken_for_who_came_after),
		TEST(a_row_beyond_the_table_is_nobody),
		TEST(pairs_without_room_are_evicted),
		TEST(threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
