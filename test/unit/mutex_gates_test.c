/* The doors of mutexes lead past all of ours while nobody else is there, and from then on to the
 * peek that they need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "sampler/mutex_gates.c"

static void alone_0(void) {}
static void alone_1(void) {}
static void owner_0(void) {}
static void owner_1(void) {}
static void word_0(void) {}
static void word_1(void) {}

static struct mutex_gates gates;

static bool lead_to(const lock_gate *to)
{
	return gates.now[0] == to[0] && gates.now[1] == to[1];
}

static int begin(void **state)
{
	(void)state;
	used = NULL;
	others = false;
	__libc_single_threaded = 1;
	gates = (struct mutex_gates){
		.now = { owner_0, owner_1 },
		.alone = { alone_0, alone_1 },
		.owner = { owner_0, owner_1 },
		.word = { word_0, word_1 },
	};
	return 0;
}

static void they_go_forward_only(void **state)
{
	(void)state;
	mutex_gates_use(&gates);
	assert_true(lead_to(gates.alone));
	mutex_gates_others();
	assert_true(lead_to(gates.owner));
	mutex_gates_waits();
	assert_true(lead_to(gates.word));
	mutex_gates_others();
	mutex_gates_waits();
	assert_true(lead_to(gates.word));
}

static void who_waits_is_one_of_others(void **state)
{
	(void)state;
	mutex_gates_use(&gates);
	mutex_gates_waits();
	assert_true(lead_to(gates.word));
}

/* Before the constructor the doors are used, too. */
static void what_came_before_counts(void **state)
{
	(void)state;
	mutex_gates_waits();
	assert_true(lead_to(gates.owner));
	mutex_gates_others();
	mutex_gates_use(&gates);
	assert_true(lead_to(gates.owner));
	mutex_gates_waits();
	assert_true(lead_to(gates.word));
}

static void *nothing(void *arg)
{
	return arg;
}

/* We may be opened late: libc knows. */
static void a_thread_of_before_counts(void **state)
{
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, nothing, NULL), 0);
	pthread_join(t, NULL);
	mutex_gates_use(&gates);
	assert_true(lead_to(gates.owner));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(they_go_forward_only),
		TEST(who_waits_is_one_of_others),
		TEST(what_came_before_counts),
		TEST(a_thread_of_before_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
