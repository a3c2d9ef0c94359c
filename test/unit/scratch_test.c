#include "sampler/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/syscall.h>

#include "fake/sys_refused.h"
#include "sampler/os.h"

#define DEPTH 20
#define USERS (SCRATCH_MAX + 3)

static struct scratch_user users[USERS];
static struct scratch *at[USERS];

static bool is_own(unsigned i) { return at[i] == users[i].own; }

static unsigned take_all(void)
{
	unsigned own = 0;

	for (unsigned i = 0; i < USERS; i++) {
		at[i] = scratch_take(&users[i]);
		own += is_own(i);
	}
	return own;
}

static int begin(void **state)
{
	(void)state;
	scratch_init(DEPTH);
	for (unsigned i = 0; i < USERS; i++)
		scratch_enter(&users[i], i + 1, calloc(1, scratch_bytes()));
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < USERS; i++) {
		scratch_leave(&users[i]);
		free(users[i].own);
	}
	return 0;
}

static void each_has_one_and_all_of_it(void **state)
{
	(void)state;
	assert_in_range(take_all(), USERS - SCRATCH_MAX, USERS - 6);
	for (unsigned i = 0; i < USERS; i++)
		memset(at[i], (int)i, scratch_bytes());
	for (unsigned i = 0; i < USERS; i++)
		for (size_t b = 0; b < scratch_bytes(); b++)
			assert_int_equal(((const uint8_t *)at[i])[b], (uint8_t)i);
	assert_true((char *)(scratch_frames(at[0]) + DEPTH) <= (char *)at[0] + scratch_bytes());
	assert_true((char *)scratch_frames(at[0]) >= (char *)(at[0]->pc + DEPTH));
	/* Or what is behind them would not be the own one's. */
	for (unsigned i = 0; i < USERS; i++)
		if (is_own(i))
			memset(at[i], 0, scratch_bytes());
}

static void the_last_one_comes_first(void **state)
{
	(void)state;
	at[0] = scratch_take(&users[0]);
	at[1] = scratch_take(&users[1]);
	assert_ptr_not_equal(at[0], at[1]);
	scratch_give(&users[0]);
	scratch_give(&users[1]);
	assert_ptr_equal(scratch_take(&users[1]), at[1]);
	assert_ptr_equal(scratch_take(&users[0]), at[0]);
	scratch_give(&users[0]);
	scratch_give(&users[1]);
	/* One for all is enough, one after the other. */
	for (unsigned i = 2; i < USERS; i++) {
		assert_ptr_equal(scratch_take(&users[i]), at[0]);
		scratch_give(&users[i]);
	}
}

static void without_one_left_it_is_the_users_own_until_there_is(void **state)
{
	unsigned n = USERS - take_all();

	(void)state;
	assert_ptr_equal(at[USERS - 1], users[USERS - 1].own);
	scratch_give(&users[USERS - 1]);        /* nobody else's */
	assert_ptr_equal(scratch_take(&users[USERS - 2]), users[USERS - 2].own);
	scratch_give(&users[n / 2]);
	assert_ptr_equal(scratch_take(&users[USERS - 1]), at[n / 2]);
}

static void what_was_left_is_found_and_kept(void **state)
{
	(void)state;
	at[0] = scratch_take(&users[0]);        /* and a jump */
	assert_ptr_equal(scratch_take(&users[0]), at[0]);
	scratch_give(&users[0]);
	assert_ptr_not_equal(scratch_take(&users[1]), at[0]);
	assert_ptr_equal(scratch_take(&users[0]), at[0]);
	scratch_give(&users[0]);
	scratch_leave(&users[0]);
	assert_ptr_equal(scratch_take(&users[2]), at[0]);
}

static void who_leaves_in_the_middle_leaves_nothing(void **state)
{
	unsigned own = take_all();

	(void)state;
	for (unsigned i = 0; i < USERS; i++)
		scratch_leave(&users[i]);
	assert_int_equal(take_all(), own);
}

static void a_fork_child_has_what_nobody_is_in(void **state)
{
	unsigned n = USERS - take_all();

	(void)state;
	assert_ptr_equal(scratch_take(&users[2]), at[2]);       /* kept */
	scratch_after_fork(users[2].id, 2);
	for (unsigned i = 0; i < n; i++) {
		struct scratch *s = scratch_take(&users[USERS - 1 - i]);

		assert_ptr_not_equal(s, at[2]);
		assert_ptr_not_equal(s, at[3]);
		assert_int_equal(s == users[USERS - 1 - i].own, i >= n - 2);
	}
	scratch_after_fork(0, 0);
	assert_int_equal(USERS - take_all(), n);
}

static void without_memory_each_has_its_own(void **state)
{
	(void)state;
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	scratch_init(DEPTH);
	sys_refuse(0, 0, 0);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(take_all(), USERS);
		for (unsigned i = 0; i < USERS; i++)
			scratch_give(&users[i]);
	}
	scratch_after_fork(0, 0);
	assert_int_equal(take_all(), USERS);
	scratch_init(DEPTH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_has_one_and_all_of_it),
		TEST(the_last_one_comes_first),
		TEST(without_one_left_it_is_the_users_own_until_there_is),
		TEST(what_was_left_is_found_and_kept),
		TEST(who_leaves_in_the_middle_leaves_nothing),
		TEST(a_fork_child_has_what_nobody_is_in),
		TEST(without_memory_each_has_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
