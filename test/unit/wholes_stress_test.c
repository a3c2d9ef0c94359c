/* Many threads write more stacks into a table than it has room for, and look for each other's: what
 * is found is always the right one, also where two wrote to one entry at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/crowd.h"
#include "fake/odds.h"
#include "sampler/random.h"
#include "sampler/wholes.h"

#define THREADS 8
#define KEYS    (64u << 10)
#define SECONDS 1.0

static struct wholes wholes;
static double end_s;
static uint64_t seed;
static _Atomic uint64_t found, looks;

/* Each word of it follows from the other. */
static struct whole entry(uint32_t id)
{
	return (struct whole){ id, ~id };
}

static void add_and_find(unsigned who)
{
	uint64_t random = random_seed(seed + who), hits = 0, n = 0;

	for (; n < 4096 || n % 1024 != 0 || crowd_now_s() < end_s; n++) {
		uint32_t id = 1 + (uint32_t)(random_next(&random) % KEYS);
		struct whole is = wholes_find(&wholes, levels_hash(id));

		CROWD_DEMAND(is.id == 0 || (is.id == id && is.stack_hash == ~id));
		hits += is.id != 0;
		if (is.id == 0)
			wholes_add(&wholes, levels_hash(id), entry(id));
	}
	atomic_fetch_add(&found, hits);
	atomic_fetch_add(&looks, n);
}

static void what_is_found_is_right_whoever_wrote_it(void **state)
{
	(void)state;
	assert_int_equal(wholes_init(&wholes, 2048), 0);
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS, add_and_find);
	crowd_check();
	print_message("%llu of %llu found\n", (unsigned long long)found,
		      (unsigned long long)looks);
	assert_true(looks > 10000 && found > 0 && found < looks);
	wholes_free(&wholes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_found_is_right_whoever_wrote_it),
	};

	seed = odds_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
