/* test/fake/paper_locks.h -- waits and charges by a clock of paper, and what they have become. */
#ifndef TEST_FAKE_PAPER_LOCKS_H
#define TEST_FAKE_PAPER_LOCKS_H

#include <string.h>

#include "fake/odds.h"
#include "sampler/clock.h"
#include "sampler/count.h"
#include "sampler/locks.h"
#include "sampler/modules_scan.h"
#include "sampler/random.h"
#include "sampler/self.h"
#include "sampler/threads.h"

#define ONE    RANDOM_WEIGHT_ONE
#define BUDGET (2u << 20)

static uint64_t paper_ns = 1000000000;
static int      lock, other;    /* never touched */

static inline int paper(clockid_t clock, struct timespec *t)
{
	(void)clock;
	*t = (struct timespec){ (time_t)(paper_ns / 1000000000), (long)(paper_ns % 1000000000) };
	return 0;
}

struct sums { uint64_t contentions, ns; };

static inline struct sums sum(const struct generations *g)
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

static inline struct sums block(void)
{
	struct sums s = sum(&locks_block_table);

	return (struct sums){ s.contentions - block_before.contentions, s.ns - block_before.ns };
}

static inline struct sums mutex(void)
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

static inline uint64_t lost(enum count reason)
{
	return count_get(reason) - dropped[reason];
}

static inline unsigned filter_sum(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < COUNT_OF(locks_filter); i++)
		n += locks_filter[i] & LOCK_CELL_WAITS;
	assert_int_equal(locks_waits, n);
	return n;
}

static inline int begin(void **state)
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
static inline int end(void **state)
{
	(void)state;
	return filter_sum() != 0 || self.lock.wait != NULL;
}

/* Who gives the lock back, ns from now. */
static inline void release(const void *l, uint64_t ns)
{
	struct locks_charge c;

	paper_ns += ns;
	if (!locks_is_awaited(l))
		return;
	locks_release_begin(&c, l);
	locks_release_end(&c);
}

static inline void wait_for(const void *l, uint64_t held_ns, uint64_t rest_ns)
{
	struct locks_wait w;

	locks_wait_begin(&w, l);
	if (held_ns != 0)
		release(l, held_ns);
	paper_ns += rest_ns;
	locks_wait_end(&w, LOCKS_GOT);
}

static inline int init(void **state)
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

#endif
