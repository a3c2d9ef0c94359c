/* Threads put and take blocks: each at addresses of its own, where nothing may ever be missing, and
 * all at the same few, where each block that was put comes out once. */
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

#define THREADS 8
#define OWN     4000    /* addresses of a thread: the table is a third full */
#define SHARED  64
#define SECONDS 0.5
#define TURNS   4096u   /* at least, of each thread: on a busy machine it may come late */

static double end_s;
static uint64_t seed;
static _Atomic uint64_t shared_put[THREADS], shared_taken[THREADS];

/* Neighbouring addresses belong to different threads. */
static const void *own(unsigned who, uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x7f0000000000) + 16 * (i * THREADS + who));
}

static const void *shared(uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x560000000000) + 16 * i);
}

/* All parts follow from one number: a block that is half of one and half of another shows. */
static struct heap_block make(uint64_t n)
{
	return (struct heap_block){ .weight = n, .size = ~n, .row = (uint32_t)(n * 7) | 1,
				    .birth_s = (uint32_t)(n >> 3) };
}

static bool is_whole(const struct heap_block *b)
{
	struct heap_block want = make(b->weight);

	return b->size == want.size && b->row == want.row && b->birth_s == want.birth_s;
}

static void use_own(unsigned who)
{
	static uint64_t all_live[THREADS][OWN];         /* the number of the block there; 0 none */
	uint64_t random = random_seed(seed + who), *live = all_live[who];
	struct heap_block b;

	for (unsigned n = 0; n < TURNS || n % 1024 != 0 || crowd_now_s() < end_s; n++) {
		uint64_t i = random_next(&random) % OWN, number = random_next(&random) | 1;
		const void *p = own(who, i);

		if (live[i] == 0) {
			struct heap_block stale;

			b = make(live[i] = number);
			CROWD_DEMAND(heap_live_put(p, &b, &stale) == HEAP_LIVE_PUT);
			CROWD_DEMAND(!heap_is_unsampled(p));
		} else {
			CROWD_DEMAND(!heap_is_unsampled(p));
			CROWD_DEMAND(heap_live_take(p, &b) && is_whole(&b) && b.weight == live[i]);
			live[i] = 0;
		}
	}
	for (uint64_t i = 0; i < OWN; i++) {
		CROWD_DEMAND(heap_live_take(own(who, i), &b) == (live[i] != 0));
		CROWD_DEMAND(live[i] == 0 || b.weight == live[i]);
	}
}

static void use_shared(unsigned who)
{
	uint64_t random = random_seed(seed + who);
	struct heap_block b, stale;

	for (unsigned n = 0; n < TURNS || n % 1024 != 0 || crowd_now_s() < end_s; n++) {
		uint64_t i = random_next(&random) % SHARED;

		if (random_next(&random) >> 63 != 0) {
			b = make(random_next(&random));
			switch (heap_live_put(shared(i), &b, &stale)) {
			case HEAP_LIVE_PUT:
				shared_put[who]++;
				break;
			case HEAP_LIVE_REPLACED:
				CROWD_DEMAND(is_whole(&stale));
				break;
			case HEAP_LIVE_FULL:
				/* All of the address's buckets are busy with other copies of it. */
				break;
			}
		} else if (heap_live_take(shared(i), &b)) {
			shared_taken[who]++;
			CROWD_DEMAND(is_whole(&b));
		}
	}
}

static void nothing_is_in_the_filter(void)
{
	for (unsigned cell = 0; cell < COUNT_OF(heap_filter); cell++)
		assert_int_equal(heap_filter[cell], 0);
}

static void blocks_of_one_thread_are_there_until_it_takes_them(void **state)
{
	(void)state;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS, use_own);
	crowd_check();
	nothing_is_in_the_filter();
}

static void of_blocks_at_the_same_address_none_is_lost_or_doubled(void **state)
{
	uint64_t put = 0, taken = 0, left = 0;
	struct heap_block b;

	(void)state;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS, use_shared);
	crowd_check();
	for (unsigned who = 0; who < THREADS; who++) {
		put += shared_put[who];
		taken += shared_taken[who];
	}
	for (uint64_t i = 0; i < SHARED; i++)
		while (heap_live_take(shared(i), &b)) {
			assert_true(is_whole(&b));
			left++;
		}
	print_message("%llu put\n", (unsigned long long)put);
	assert_true(put > 1000);
	assert_true(put == taken + left);
	nothing_is_in_the_filter();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_one_thread_are_there_until_it_takes_them),
		cmocka_unit_test(of_blocks_at_the_same_address_none_is_lost_or_doubled),
	};

	seed = odds_seed();
	if (heap_live_init(4u << 20) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
