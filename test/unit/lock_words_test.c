/* What the words of glibc's mutexes say, of real ones. */
#include "preload/lock_words.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sampler/compiler.h"

static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static int begin(void **state)
{
	(void)state;
	self.tid = os_gettid();
	return 0;
}

static int end(void **state)
{
	(void)state;
	self.tid = 0;
	return 0;
}

/* All kinds say by their owner that they are free, also those whose word is not 0 then. */
static void a_free_mutex_looks_free_by_its_owner(void **state)
{
	static const int kinds[] = { PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
				     PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP };
	static const int protocols[] = { PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds) * COUNT_OF(protocols) * 2; i++) {
		pthread_mutexattr_t a;
		pthread_mutex_t m;

		pthread_mutexattr_init(&a);
		pthread_mutexattr_settype(&a, kinds[i % COUNT_OF(kinds)]);
		pthread_mutexattr_setprotocol(&a, protocols[i / COUNT_OF(kinds) % 2]);
		pthread_mutexattr_setrobust(&a, i / COUNT_OF(kinds) / 2 == 0
							? PTHREAD_MUTEX_STALLED
							: PTHREAD_MUTEX_ROBUST);
		assert_int_equal(pthread_mutex_init(&m, &a), 0);
		assert_true(mutex_has_no_owner(&m));
		assert_int_equal(pthread_mutex_lock(&m), 0);
		assert_false(mutex_has_no_owner(&m));
		assert_int_equal(pthread_mutex_unlock(&m), 0);
		assert_true(mutex_has_no_owner(&m));
		pthread_mutex_destroy(&m);
		pthread_mutexattr_destroy(&a);
	}
}

static void who_has_it_need_not_wait(void **state)
{
	(void)state;
	pthread_mutex_lock(&recursive);
	assert_false(mutex_has_no_owner(&recursive));
	assert_false(mutex_looks_free(&recursive));
	assert_false(mutex_is_held(&recursive));
	pthread_mutex_unlock(&recursive);
	assert_false(mutex_is_held(&normal));
}

/* As it is when it is just being taken, or given back. */
static void the_word_is_exact(void **state)
{
	(void)state;
	pthread_mutex_lock(&normal);
	normal.__data.__owner = 0;
	assert_true(mutex_has_no_owner(&normal));
	assert_false(mutex_looks_free(&normal));
	assert_true(mutex_is_held(&normal));
	pthread_mutex_unlock(&normal);
	assert_true(mutex_looks_free(&normal));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_free_mutex_looks_free_by_its_owner),
		TEST(who_has_it_need_not_wait),
		TEST(the_word_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
