/* The doors of unlocks lead past all of ours while nobody waits, and to a look as soon as somebody
 * does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/paper_locks.h"
#include "sampler/lock_gates.h"

static void bare_0(void) {}
static void bare_1(void) {}
static void bare_2(void) {}
static void bare_3(void) {}
static void look_0(void) {}
static void look_1(void) {}
static void look_2(void) {}
static void look_3(void) {}

static struct lock_gates gates = {
	.now = { look_0, look_1, look_2, look_3 },
	.watch = { look_0, look_1, look_2, look_3 },
	.bare = { bare_0, bare_1, bare_2, bare_3 },
};

static bool lead_to(const lock_gate *to)
{
	bool all = true;

	for (unsigned i = 0; i < LOCK_GATES; i++)
		all = all && __atomic_load_n(&gates.now[i], __ATOMIC_SEQ_CST) == to[i];
	return all;
}

static void they_turn_with_the_first_wait_and_the_last(void **state)
{
	struct locks_wait w;

	(void)state;
	assert_true(lead_to(gates.bare));
	locks_wait_begin(&w, &lock);
	assert_true(lead_to(gates.watch));
	/* Another thread's. */
	atomic_fetch_add(&locks_waits, 1);
	locks_wait_end(&w, LOCKS_GOT);
	assert_true(lead_to(gates.watch));
	atomic_store(&locks_waits, 0);
	wait_for(&lock, 5000, 0);
	assert_true(lead_to(gates.bare));
	assert_sums(mutex(), ONE, 5000);
}

/* The last one has counted itself out; before it turns the gates another has come, and has found
 * them as they should be. */
static void who_comes_while_the_last_one_goes_finds_them_turned(void **state)
{
	(void)state;
	atomic_store(&locks_waits, 1);
	lock_gates_watch();
	atomic_fetch_sub(&locks_waits, 1);
	atomic_fetch_add(&locks_waits, 1);
	lock_gates_watch();
	lock_gates_calm();
	assert_true(lead_to(gates.watch));
	/* Or it has turned some of them. */
	gates.now[LOCK_GATES - 1] = bare_3;
	lock_gates_calm();
	assert_true(lead_to(gates.watch));
	atomic_store(&locks_waits, 0);
	lock_gates_calm();
	assert_true(lead_to(gates.bare));
}

static void nothing_turns_them_where_nothing_is_chosen(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_pause_begin(&w, &lock);
	assert_true(lead_to(gates.bare));
	locks_pause_end(&w, LOCKS_WAITED);
	locks_set_mutex_fraction(0);
	locks_wait_begin(&w, &lock);
	assert_true(lead_to(gates.bare));
	locks_wait_end(&w, LOCKS_GOT);
}

static void a_fork_child_begins_with_bare_ones(void **state)
{
	struct locks_wait w;

	(void)state;
	locks_wait_begin(&w, &other);
	assert_true(lead_to(gates.watch));
	locks_after_fork();
	assert_true(lead_to(gates.bare));
}

static int begin_with_gates(void **state)
{
	lock_gates_use(&gates);
	return begin(state);
}

int main(void)
{
#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_with_gates, end)
	const struct CMUnitTest tests[] = {
		TEST(they_turn_with_the_first_wait_and_the_last),
		TEST(nothing_turns_them_where_nothing_is_chosen),
		TEST(who_comes_while_the_last_one_goes_finds_them_turned),
		TEST(a_fork_child_begins_with_bare_ones),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
