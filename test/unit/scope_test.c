/* "Ours" is this program here: it is the first of the objects, the libraries come after it. */
#include "preload/scope.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "fake/child.h"

/* libcmocka calls it, so the linker exports it. */
__attribute__((visibility("default"))) char *getenv(const char *name)
{
	(void)name;
	return NULL;
}

static void a_definition_is_found_where_dlsym_finds_it(void **state)
{
	(void)state;
	assert_ptr_equal(scope_find("getpid"), dlsym(RTLD_DEFAULT, "getpid"));
	assert_ptr_equal(scope_find("environ"), dlsym(RTLD_DEFAULT, "environ"));
	assert_ptr_equal(scope_find("_cmocka_run_group_tests"),
			 dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests"));
	/* The next one, not ours. */
	assert_ptr_equal(scope_find("getenv"), dlsym(RTLD_NEXT, "getenv"));
	assert_null(scope_find("there_is_no_such_function"));
	assert_null(scope_find(""));
}

static void the_vdso_is_looked_into_too(void **state)
{
	int (*read_clock)(clockid_t, struct timespec *) = scope_find("__vdso_clock_gettime");
	struct timespec t = { 0, -1 };

	(void)state;
	if (read_clock == NULL)
		skip();
	assert_int_equal(read_clock(CLOCK_MONOTONIC, &t), 0);
	assert_in_range(t.tv_nsec, 0, 999999999);
}

static void looking_in_vain_leaves_no_message(void **state)
{
	(void)state;
	(void)dlerror();
	assert_false(scope_has_next("there_is_no_such_function"));
	assert_null(dlerror());
}

static void what_comes_next_is_told_from_what_came_before(void **state)
{
	(void)state;
	assert_true(scope_has_next("getpid") && scope_has_next("getenv"));
	assert_false(scope_is_shadowed("getpid"));
	assert_true(scope_program_has("getenv"));
	assert_false(scope_program_has("getpid"));
}

/* For programs that were linked long ago only: dlsym does not find these either. */
static void old_versions_do_not_count(void **state)
{
	(void)state;
	assert_null(dlsym(RTLD_NEXT, "sys_siglist"));
	assert_false(scope_has_next("sys_siglist"));
	assert_non_null(dlvsym(RTLD_NEXT, "sys_siglist", "GLIBC_2.2.5"));
}

/* The other kind of table, which the vDSO and old libraries have. */
static void both_kinds_of_table_say_the_same(void **state)
{
	static const char *const names[] = { "__vdso_clock_gettime", "clock_gettime", "getcpu",
					     "there_is_no_such_function" };
	unsigned both = 0;

	(void)state;
	for (struct link_map *m = program(); m != NULL; m = m->l_next) {
		struct tables t = read_tables(m);

		if (t.gnu == NULL || t.sysv == NULL)
			continue;
		both++;
		for (unsigned i = 0; i < COUNT_OF(names); i++)
			assert_ptr_equal(find_by_gnu_hash(&t, names[i]),
					 find_by_sysv_hash(&t, names[i]));
	}
	if (both == 0)
		skip();
}

static void hide_our_getenv(void)
{
	static const char *const names[] = { "there_is_no_such_function", "getenv" };
	int zeros = open("/dev/zero", O_RDONLY);
	void *own = (void *)getenv, *next = dlsym(RTLD_NEXT, "getenv");

	CHILD_DEMAND(next != NULL && dlsym(RTLD_DEFAULT, "getenv") == own && own != next);
	CHILD_DEMAND(scope_hide(names, COUNT_OF(names)));
	CHILD_DEMAND(dlsym(RTLD_DEFAULT, "getenv") == next);
	CHILD_DEMAND(!scope_program_has("getenv"));
	/* Who has it keeps it; the table is as little to be written to as before. */
	CHILD_DEMAND(getenv("PATH") == NULL);
	CHILD_DEMAND(scope_hide(names, COUNT_OF(names)));
	CHILD_DEMAND(scope_hide(names, 1));
	CHILD_DEMAND(read(zeros, read_tables(ours()).symbols, 1) < 0 && errno == EFAULT);
}

static void what_is_hidden_is_found_no_more(void **state)
{
	(void)state;
	assert_child(hide_our_getenv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_definition_is_found_where_dlsym_finds_it),
		cmocka_unit_test(the_vdso_is_looked_into_too),
		cmocka_unit_test(looking_in_vain_leaves_no_message),
		cmocka_unit_test(what_comes_next_is_told_from_what_came_before),
		cmocka_unit_test(old_versions_do_not_count),
		cmocka_unit_test(both_kinds_of_table_say_the_same),
		cmocka_unit_test(what_is_hidden_is_found_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
