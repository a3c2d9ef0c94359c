/* Of those who were charged while somebody waited one is picked, by what it was charged with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "fake/odds.h"
#include "sampler/lock_holders.h"
#include "sampler/random.h"

static struct lock_holders all;
static uint64_t seed, now;

static int begin(void **state)
{
	(void)state;
	memset(&all, 0, sizeof(all));
	seed = random_seed(odds_seed());
	print_message("seed %llx\n", (unsigned long long)seed);
	now = UINT64_C(1) << 40;
	return 0;
}

static void holders_are_picked_in_proportion_within_the_time(void **state)
{
	enum { N = 100000 };
	unsigned picked[5] = { 0 };

	(void)state;
	for (unsigned turn = 0; turn < 2; turn++) {
		memset(picked, 0, sizeof(picked));
		/* The second time the clock of the notes goes round. */
		now = turn == 0 ? now : (UINT64_C(7) << 50) - 4000000;
		lock_holders_note(&all, (struct lock_site){ 4, 44 }, now, 1000000);
		now += 2000000;
		lock_holders_note(&all, (struct lock_site){ 1, 11 }, now, 100);
		now += 2000000;
		lock_holders_note(&all, (struct lock_site){ 2, 22 }, now, 300);
		now += 2000000;
		lock_holders_note(&all, (struct lock_site){ 3, 33 }, now, 1000000);
		for (unsigned i = 0; i < N; i++) {
			struct lock_site s = lock_holders_pick(&all, now - 5000000,
							     now - 1000000, &seed);

			assert_true(s.row < 5 && s.hash == 11 * s.row);
			picked[s.row]++;
		}
		assert_int_equal(picked[1] + picked[2], N);
		assert_true(fabs(picked[1] - N / 4.0) < odds_of_sum(N * 3 / 16.0, 1));
		assert_int_equal(lock_holders_pick(&all, now + 5000, now + 9000, &seed).row,
				 0);
		now += 100000000;
	}
}

static void where_nobody_was_nobody_is_picked(void **state)
{
	(void)state;
	assert_int_equal(lock_holders_pick(&all, now, now + 5000, &seed).row, 0);
}

static void the_oldest_is_forgotten(void **state)
{
	bool seen[LOCK_HOLDERS + 2] = { false };

	(void)state;
	for (unsigned i = 1; i <= LOCK_HOLDERS + 1; i++)
		lock_holders_note(&all, (struct lock_site){ i, 11 * i }, now, 1000);
	for (unsigned i = 0; i < 10000; i++)
		seen[lock_holders_pick(&all, now - 5000, now + 5000, &seed).row] = true;
	/* Not to have seen one of 16: 16 * (15/16)^10000. */
	for (unsigned i = 0; i <= LOCK_HOLDERS + 1; i++)
		assert_int_equal(seen[i], i > 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(holders_are_picked_in_proportion_within_the_time),
		TEST(where_nobody_was_nobody_is_picked),
		TEST(the_oldest_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
