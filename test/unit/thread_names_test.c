#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "fake/sys_refused.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/limits.h"
#include "sampler/thread_names.h"

static uint16_t id_of(const char *name)
{
	prctl(PR_SET_NAME, name);
	return thread_names_mine();
}

static const char *const names[] = {
	"a", "b", "ab", "ba", "worker-1", "worker-2", "fifteen letters", "J\xf6rg", "%s", " ", "\n",
};

static void a_name_comes_back_by_its_id(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		uint16_t id = id_of(names[i]);

		assert_in_range(id, 1, THREAD_NAMES_MAX - 1);
		assert_string_equal(thread_names_get(id), names[i]);
	}
}

static void the_same_name_has_the_same_id_and_another_one_another(void **state)
{
	uint16_t id[COUNT_OF(names)];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		id[i] = id_of(names[i]);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(id[k], id[i]);
	}
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(id_of(names[i]), id[i]);
}

static void a_name_that_is_cut_is_the_name(void **state)
{
	(void)state;
	assert_int_equal(id_of("fifteen letters and more"), id_of("fifteen letters"));
}

static void a_shorter_name_has_no_rest_of_the_longer_one(void **state)
{
	uint16_t id = id_of("ab");

	(void)state;
	id_of("abcdefgh");
	assert_int_equal(id_of("ab"), id);
}

static void unknown_ids_have_no_name(void **state)
{
	(void)state;
	assert_string_equal(thread_names_get(0), "");
	assert_string_equal(thread_names_get(THREAD_NAMES_MAX), "");
	assert_string_equal(thread_names_get(UINT16_MAX), "");
}

static void a_thread_asks_again_when_a_door_has_seen_a_change(void **state)
{
	uint16_t before = id_of("before");

	(void)state;
	assert_int_equal(thread_names_now(), before);
	/* Behind the doors' back. */
	prctl(PR_SET_NAME, "after");
	assert_int_equal(thread_names_now(), before);
	thread_names_changed();
	assert_string_equal(thread_names_get(thread_names_now()), "after");
	/* A new thread has not asked at all. */
	self.name_seen = 0;
	self.name = 0;
	assert_string_equal(thread_names_get(thread_names_now()), "after");
}

static void a_name_that_somebody_else_has_read_is_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(thread_names_of(names[i]), id_of(names[i]));
	assert_int_equal(thread_names_of("fifteen letters and more"), id_of("fifteen letters"));
	assert_int_equal(thread_names_of(""), 0);
	assert_int_equal(id_of(""), 0);
}

static void without_the_kernels_answer_there_is_no_name(void **state)
{
	(void)state;
	sys_refuse(SYS_prctl, 1, -EPERM);
	assert_int_equal(thread_names_mine(), 0);
	sys_refuse(0, 0, 0);
}

/* The last one: it leaves no room. */
static void a_full_table_says_so_and_loses_nothing(void **state)
{
	static uint16_t id[2 * THREAD_NAMES_MAX];
	uint64_t before = count_get(COUNT_THREAD_NO_NAME), refused = 0;
	char name[THREAD_NAME_BYTES];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(id); i++) {
		snprintf(name, sizeof(name), "name-%u", i);
		id[i] = id_of(name);
		refused += id[i] == 0;
		/* Nobody is sent away while half of the table is free. */
		assert_true(refused == 0 || i > THREAD_NAMES_MAX / 2);
	}
	assert_in_range(refused, THREAD_NAMES_MAX, THREAD_NAMES_MAX + THREAD_NAMES_MAX / 8);
	assert_int_equal(count_get(COUNT_THREAD_NO_NAME), before + refused);
	for (unsigned i = 0; i < COUNT_OF(id); i++) {
		if (id[i] == 0)
			continue;
		snprintf(name, sizeof(name), "name-%u", i);
		assert_string_equal(thread_names_get(id[i]), name);
		assert_int_equal(id_of(name), id[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_comes_back_by_its_id),
		cmocka_unit_test(the_same_name_has_the_same_id_and_another_one_another),
		cmocka_unit_test(a_name_that_is_cut_is_the_name),
		cmocka_unit_test(a_shorter_name_has_no_rest_of_the_longer_one),
		cmocka_unit_test(unknown_ids_have_no_name),
		cmocka_unit_test(a_thread_asks_again_when_a_door_has_seen_a_change),
		cmocka_unit_test(a_name_that_somebody_else_has_read_is_the_same),
		cmocka_unit_test(without_the_kernels_answer_there_is_no_name),
		cmocka_unit_test(a_full_table_says_so_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
