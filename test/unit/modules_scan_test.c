/* Scans in steps, which all who want one share: who comes late, failures, and another desk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "fake/mapped_file.h"
#include "fake/sys_refused.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/tables.h"

/* Lines enough for some steps, above what is mapped later. */
#define STRIPES 400

static char *library;           /* the bytes of one */
static size_t library_bytes;
static char path[] = "/tmp/modules_scan_test.XXXXXX";
static unsigned steps;          /* that a scan takes */

static bool is_known(void)
{
	const char *pc = code_of(library, free_addresses());

	return modules_is_code((uintptr_t)pc) && modules_find(modules_frame((uintptr_t)pc)) != NULL;
}

static void step_times(uint64_t *ticket, unsigned n)
{
	for (; n > 0; n--)
		assert_true(modules_scan_go_on(ticket));
}

/* One that was never here, where a scan has gone past after all of its steps but one. */
static void map_library(void)
{
	change_build_id(library, library_bytes);
	unlink(path);
	strcpy(path + strlen(path) - 6, "XXXXXX");
	make_file(path, library, library_bytes);
	map_object(path, library, free_addresses());
}

static int begin(void **state)
{
	char *at = free_addresses() + (512u << 20);
	uint64_t ticket = 0;

	(void)state;
	library_bytes = read_library(SOME_LIBRARY, &library);
	if (library_bytes == 0)
		return 1;
	for (unsigned i = 0; i < STRIPES; i += 2)
		if (mprotect(at + 4096 * i, 4096, PROT_READ) != 0)
			return 1;
	if (modules_scan(true) < 0)
		return 1;
	for (steps = 1; modules_scan_go_on(&ticket); steps++)
		continue;
	return steps < 4;
}

static int end(void **state)
{
	(void)state;
	return unlink(path);
}

static int unmap_library(void **state)
{
	(void)state;
	sys_refuse(0, 0, 0);
	unmap_file(free_addresses(), 256u << 20);
	dlclose_passes();
	return modules_scan(false);
}

static void what_is_found_is_known_at_the_end(void **state)
{
	uint32_t count = modules_count();
	uint64_t ticket = 0;

	(void)state;
	map_library();
	for (unsigned n = 1; n < steps; n++) {
		assert_true(modules_scan_go_on(&ticket));
		assert_int_equal(modules_count(), count);
		assert_false(is_known());
	}
	while (modules_scan_go_on(&ticket))
		continue;
	assert_true(is_known());
	assert_false(modules_scan_go_on(&ticket));
}

/* The scan that is half done has gone past what the second one wants to be found. */
static void who_comes_late_has_the_next_one(void **state)
{
	uint64_t first = 0, second = 0, third = 0;

	(void)state;
	sys_refuse(SYS_openat, 0, 0);
	step_times(&first, steps - 1);
	map_library();
	while (modules_scan_go_on(&first))
		assert_true(modules_scan_go_on(&second));
	assert_false(is_known());
	assert_true(modules_scan_go_on(&second));
	assert_true(modules_scan_go_on(&third));
	while (modules_scan_go_on(&second))
		continue;
	assert_true(is_known());
	assert_int_equal(sys_refused.seen, 2);
	while (modules_scan_go_on(&third))
		continue;
	assert_int_equal(sys_refused.seen, 3);
}

static void all_who_wait_share_one(void **state)
{
	uint64_t ticket[3] = { 0 };

	(void)state;
	sys_refuse(SYS_openat, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		step_times(&ticket[i], 1);
	while (modules_scan_go_on(&ticket[1]) || modules_scan_go_on(&ticket[2]))
		continue;
	assert_false(modules_scan_go_on(&ticket[0]));
	assert_int_equal(sys_refused.seen, 2);
}

/* Neither rows nor tables are left of it, nor is there anybody who waits on. */
static void one_that_fails_is_over_for_all(void **state)
{
	uint32_t count = modules_count();
	unsigned tables = tables_count();
	uint64_t ticket = 0, next = 0, late = 0;

	(void)state;
	map_library();
	step_times(&ticket, steps - 1);
	assert_true(tables_count() > tables);
	sys_refuse(SYS_read, 1, -EIO);
	assert_false(modules_scan_go_on(&next));
	assert_false(modules_scan_go_on(&ticket));
	sys_refuse(SYS_openat, 1, -EMFILE);
	assert_false(modules_scan_go_on(&late));
	sys_refuse(0, 0, 0);
	assert_int_equal(modules_count(), count);
	assert_int_equal(tables_count(), tables);
	assert_false(is_known());
	for (ticket = 0; modules_scan_go_on(&ticket);)
		continue;
	assert_true(is_known());
}

static void after_a_dlclose_it_begins_again(void **state)
{
	uint64_t ticket = 0;

	(void)state;
	sys_refuse(SYS_openat, 0, 0);
	step_times(&ticket, steps - 1);
	map_library();
	dlclose_passes();
	while (modules_scan_go_on(&ticket))
		continue;
	assert_true(is_known());
	assert_int_equal(sys_refused.seen, 2);
}

/* --- the desk is another one ----------------------------------------------------------------- */

static void *begin_one(void *ticket)
{
	step_times(ticket, 1);
	return NULL;
}

/* Its files have gone with it: the first thread of all is not asked to read from them. */
static void a_new_desk_begins_it_again(void **state)
{
	uint64_t ticket = 0;
	pthread_t thread;

	(void)state;
	map_library();
	sys_refuse(SYS_openat, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, begin_one, &ticket), 0);
	pthread_join(thread, NULL);
	step_times(&ticket, steps - 1);
	while (modules_scan_go_on(&ticket))
		continue;
	assert_int_equal(sys_refused.seen, 2);
	assert_true(is_known());
}

/* Even one of the same number: a process may be the first of its namespace, like its parent. */
static void a_fork_childs_begins_it_again(void **state)
{
	uint64_t ticket = 0;

	(void)state;
	map_library();
	sys_refuse(SYS_openat, 0, 0);
	step_times(&ticket, 1);
	modules_scan_after_fork();
	while (modules_scan_go_on(&ticket))
		continue;
	assert_int_equal(sys_refused.seen, 2);
	assert_true(is_known());
}

#define TEST(f) cmocka_unit_test_teardown(f, unmap_library)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_found_is_known_at_the_end),
		TEST(who_comes_late_has_the_next_one),
		TEST(all_who_wait_share_one),
		TEST(one_that_fails_is_over_for_all),
		TEST(after_a_dlclose_it_begins_again),
		TEST(a_new_desk_begins_it_again),
		TEST(a_fork_childs_begins_it_again),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
