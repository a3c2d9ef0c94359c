/* A walk through the live blocks, by one thread while others put and take: each block that stays is
 * met once, and nothing is met that was never there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/crowd.h"
#include "fake/odds.h"
#include "sampler/heap_live.h"
#include "sampler/random.h"

#define THREADS 4
#define QUIET   20000   /* on several levels of the index */
#define BUSY    64      /* addresses that all threads use: the same word is taken and put again */
#define SECONDS 0.5

static double end_s;
static _Atomic bool over;       /* thread 0 has met what it wanted: on a busy machine that is later */
static uint64_t seed;

static const void *quiet(uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x7f0000000000) + 4096 * i);
}

static const void *busy(uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x560000000000) + 16 * i);
}

/* Quiet ones have weights below QUIET.  All parts follow from one number. */
static struct heap_block make(uint64_t n)
{
	return (struct heap_block){ .weight = n, .size = ~n, .row = (uint32_t)(n * 7) | 1,
				    .birth_s = (uint32_t)(n >> 3) };
}

static void put(const void *p, uint64_t n)
{
	struct heap_block b = make(n), stale;

	assert_int_equal(heap_live_put(p, &b, &stale), HEAP_LIVE_PUT);
}

/* Walks, and counts how often each quiet one is met.  Returns how many others are. */
static unsigned walk(uint8_t met[QUIET])
{
	unsigned others = 0;

	memset(met, 0, QUIET);
	for (size_t i = 0; i < heap_live_end(); i++) {
		struct heap_block b, want;

		if (!heap_live_at(i, &b))
			continue;
		want = make(b.weight);
		CROWD_DEMAND(b.size == want.size && b.row == want.row && b.birth_s == want.birth_s);
		if (b.weight < QUIET)
			met[b.weight]++;
		else
			others++;
	}
	return others;
}

static void a_walk_meets_what_is_live_and_nothing_else(void **state)
{
	static uint8_t met[QUIET];
	struct heap_block b;

	(void)state;
	assert_int_equal(heap_live_end(), 0);
	if (heap_live_init(4u << 20) < 0)
		fail();
	assert_int_equal(heap_live_end(), 0);
	for (uint64_t i = 0; i < QUIET; i++)
		put(quiet(i), i);
	assert_int_equal(walk(met), 0);
	for (uint64_t i = 0; i < QUIET; i++)
		assert_int_equal(met[i], 1);
	for (uint64_t i = 0; i < QUIET; i += 2)
		assert_true(heap_live_take(quiet(i), &b));
	assert_int_equal(walk(met), 0);
	for (uint64_t i = 0; i < QUIET; i++)
		assert_int_equal(met[i], i % 2);
	for (uint64_t i = 1; i < QUIET; i += 2)
		assert_true(heap_live_take(quiet(i), &b));
	crowd_check();
}

static void come_and_go_at(unsigned who, unsigned addresses)
{
	uint64_t random = random_seed(seed + who);
	struct heap_block b, stale;

	for (unsigned n = 0; n % 1024 != 0 || !over; n++) {
		const void *p = busy(random_next(&random) % addresses);

		b = make(random_next(&random) | 1ull << 63);
		if (random_next(&random) >> 63 != 0)
			(void)heap_live_put(p, &b, &stale);
		else
			(void)heap_live_take(p, &b);
	}
}

static void walk_or_come_and_go(unsigned who)
{
	static uint8_t met[QUIET];
	unsigned others = 0;

	if (who != 0) {
		come_and_go_at(who, BUSY);
		return;
	}
	for (unsigned n = 0; n < 3 || others == 0 || crowd_now_s() < end_s; n++) {
		others += walk(met);
		for (uint64_t i = 0; i < QUIET; i++)
			CROWD_DEMAND(met[i] == 1);
	}
	over = true;
}

static void quiet_blocks_are_met_once_whatever_comes_and_goes(void **state)
{
	struct heap_block b;

	(void)state;
	for (uint64_t i = 0; i < QUIET; i++)
		put(quiet(i), i);
	over = false;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS, walk_or_come_and_go);
	crowd_check();
	for (uint64_t i = 0; i < QUIET; i++)
		assert_true(heap_live_take(quiet(i), &b));
}

/* One address, and one thread that does nothing but look at where it stands: it is interrupted
 * between any two instructions, as the others are. */
static void look_or_come_and_go(unsigned who)
{
	size_t cell[64], cells = 0;
	uint64_t met = 0;
	struct heap_block b, want;

	if (who != 0) {
		come_and_go_at(who, 1);
		return;
	}
	for (unsigned n = 0; n % 1024 != 0 || met <= 1000 || crowd_now_s() < end_s; n++) {
		if (n % (1u << 20) == 0)
			for (size_t i = cells = 0; i < heap_live_end() && cells < COUNT_OF(cell); i++)
				if (heap_live_at(i, &b))
					cell[cells++] = i;
		for (size_t i = 0; i < cells; i++) {
			if (!heap_live_at(cell[i], &b))
				continue;
			want = make(b.weight);
			CROWD_DEMAND(b.size == want.size && b.row == want.row &&
				     b.birth_s == want.birth_s);
			met++;
		}
	}
	print_message("%llu met\n", (unsigned long long)met);
	over = true;
}

static void a_block_is_met_whole_or_not_at_all(void **state)
{
	struct heap_block b, stale;

	(void)state;
	while (heap_live_take(busy(0), &b))     /* of the test before */
		;
	b = make(UINT64_MAX);
	assert_int_equal(heap_live_put(busy(0), &b, &stale), HEAP_LIVE_PUT);
	over = false;
	end_s = crowd_now_s() + 2 * SECONDS;
	crowd_run(THREADS, look_or_come_and_go);
	crowd_check();
}

int main(void)
{
	/* The first begins without a table. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_walk_meets_what_is_live_and_nothing_else),
		cmocka_unit_test(quiet_blocks_are_met_once_whatever_comes_and_goes),
		cmocka_unit_test(a_block_is_met_whole_or_not_at_all),
	};

	seed = odds_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
