/* Scans that fail, tables that are full, and mappings that a loader would not make like that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "fake/mapped_file.h"
#include "fake/sys_refused.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"

static char *library;           /* the bytes of one */
static size_t library_bytes;
static char path[] = "/tmp/modules_bounds_test.XXXXXX";

static const struct module *module_of(const char *pc)
{
	return modules_find(modules_frame((uintptr_t)pc));
}

static int begin(void **state)
{
	(void)state;
	library_bytes = read_library(SOME_LIBRARY, &library);
	if (library_bytes == 0)
		return 0;
	make_file(path, library, library_bytes);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return library_bytes > 0 ? unlink(path) : 0;
}

/* Whatever a test has mapped goes with it. */
static int unmap_all(void **state)
{
	(void)state;
	sys_refuse(0, 0, 0);
	unmap_file(free_addresses(), 1u << 30);
	dlclose_passes();
	return modules_scan(false);
}

/* --- failures -------------------------------------------------------------------------------- */

static void the_first_scan_may_fail(void **state)
{
	(void)state;
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	assert_int_equal(modules_scan(true), -ENOMEM);
	sys_refuse(SYS_openat, 1, -EACCES);
	assert_int_equal(modules_scan(true), -EACCES);
	sys_refuse(SYS_read, 1, -EIO);
	assert_int_equal(modules_scan(true), -EIO);
	sys_refuse(0, 0, 0);
	assert_int_equal(modules_count(), 0);
	assert_false(modules_is_code((uintptr_t)module_of));
	assert_int_equal(modules_scan(true), 0);
	modules_set_main(getauxval(AT_ENTRY));
	assert_true(modules_is_code((uintptr_t)module_of));
}

/* Where read is refused from some call on: the scan has seen a part of the map. */
static void a_failed_scan_leaves_what_was_known(void **state)
{
	uint32_t count = modules_count();

	(void)state;
	for (unsigned nth = 1; nth <= 2; nth++) {
		sys_refuse(SYS_read, nth, -EIO);
		assert_int_equal(modules_scan(false), -EIO);
		sys_refuse(0, 0, 0);
		for (uint32_t i = 0; i < count; i++)
			assert_true(modules_at(i)->alive);
		assert_true(modules_is_code((uintptr_t)module_of));
		assert_non_null(module_of((const char *)module_of));
	}
	assert_int_equal(modules_scan(false), 0);
	assert_int_equal(modules_count(), count);
}

/* What a failed scan has found before it failed is found by the next one all the same. */
static void what_a_failed_scan_has_met_is_known_after_the_next(void **state)
{
	char *at = free_addresses();

	(void)state;
	if (library_bytes == 0)
		skip();
	map_object(path, library, at);
	for (unsigned nth = 2; nth < 20; nth++) {
		int err;

		sys_refuse(SYS_read, nth, -EIO);
		err = modules_scan(false);
		sys_refuse(0, 0, 0);
		if (err == 0)
			break;
	}
	assert_int_equal(modules_scan(false), 0);
	assert_non_null(module_of(code_of(library, at)));
	assert_true(modules_is_code((uintptr_t)code_of(library, at)));
}

static void a_scan_leaves_no_descriptor_open(void **state)
{
	int before = dup(1), after;

	(void)state;
	close(before);
	for (unsigned nth = 1; nth <= 3; nth++) {
		sys_refuse(SYS_read, nth, -EIO);
		(void)!modules_scan(false);
		sys_refuse(0, 0, 0);
	}
	assert_int_equal(modules_scan(false), 0);
	after = fcntl(1, F_DUPFD_CLOEXEC, 900);
	close(after);
	assert_int_equal(after, 900);
	after = dup(1);
	close(after);
	assert_int_equal(after, before);
}

/* The program closes one library and opens another, while a scan has read the map already. */
static char *being_scanned;
static char other_path[] = "/tmp/modules_bounds_test.XXXXXX";

static void close_and_open(void)
{
	dlclose_passes();
	map_object(other_path, library, being_scanned);
}

static void after_a_dlclose_during_a_scan_it_looks_again(void **state)
{
	frame_t first, second;
	const char *code;

	(void)state;
	if (library_bytes == 0)
		skip();
	change_build_id(library, library_bytes);
	make_file(other_path, library, library_bytes);
	being_scanned = free_addresses();
	code = code_of(library, being_scanned);
	map_object(path, library, being_scanned);
	first = modules_frame((uintptr_t)code);
	sys_interrupt(SYS_close, 2, close_and_open);    /* the first makes its number a high one */
	assert_int_equal(modules_scan(false), 0);
	sys_refuse(0, 0, 0);
	second = modules_frame((uintptr_t)code);
	assert_false(modules_are_wanted());
	unlink(other_path);
	/* What was sampled before belongs to nobody that a scan has seen. */
	assert_null(modules_find(first));
	assert_string_equal(modules_find(second)->path, other_path);
}

/* --- objects that are mapped more than once -------------------------------------------------- */

/* Two of the same library, one behind the other (dlmopen), are two objects. */
static void a_library_that_is_mapped_twice_is_two_modules(void **state)
{
	char *first = free_addresses(), *second;
	const struct module *m;
	struct range r;
	size_t bytes;

	(void)state;
	if (library_bytes == 0)
		skip();
	bytes = map_object(path, library, first);
	second = first + bytes;
	map_object(path, library, second);
	assert_int_equal(modules_scan(false), 0);
	m = module_of(code_of(library, second));
	assert_non_null(m);
	assert_int_equal(module_of(code_of(library, first))->image, (uintptr_t)first);
	assert_int_equal(m->image, (uintptr_t)second);
	assert_true(modules_find_range((uintptr_t)code_of(library, second), &r));
	assert_in_range((uintptr_t)r.place.hdr + r.place.moved, second, second + bytes);
	assert_int_equal(r.image, (uintptr_t)second);
}

/* A program that reads its own library's file by mmap (Rust's backtraces do): the copy is no
 * object. */
static void the_file_of_a_library_may_be_mapped_below_it_to_be_read(void **state)
{
	char *copy = free_addresses(), *at = copy + (16 << 20);
	(void)state;
	if (library_bytes == 0)
		skip();
	map_file(path, copy, PROT_READ, 0, library_bytes);
	map_object(path, library, at);
	assert_int_equal(modules_scan(false), 0);
	assert_non_null(module_of(code_of(library, at)));
	assert_int_equal(module_of(code_of(library, at))->image, (uintptr_t)at);
}

/* As lld links what is small: text begins in the first page of the file, which is mapped twice. */
static void the_first_page_of_a_small_object_may_be_mapped_twice(void **state)
{
	static struct { Elf64_Ehdr e; Elf64_Phdr ph[2]; char code[64]; } made;
	char small[] = "/tmp/modules_bounds_test.XXXXXX", *at = free_addresses();

	(void)state;
	memcpy(made.e.e_ident, ELFMAG "\2", 5);
	made.e.e_phoff = offsetof(__typeof__(made), ph);
	made.e.e_phentsize = sizeof(Elf64_Phdr);
	made.e.e_phnum = 2;
	made.ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R,
				   .p_filesz = offsetof(__typeof__(made), code) };
	made.ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_flags = PF_R | PF_X,
				   .p_offset = offsetof(__typeof__(made), code),
				   .p_vaddr = 4096 + offsetof(__typeof__(made), code),
				   .p_filesz = sizeof(made.code) };
	make_file(small, &made, sizeof(made));
	map_object(small, (const char *)&made, at);
	unlink(small);
	assert_int_equal(modules_scan(false), 0);
	assert_non_null(module_of(code_of((const char *)&made, at)));
	assert_int_equal(module_of(code_of((const char *)&made, at))->image, (uintptr_t)at);
}

static void tables_without_a_build_id_are_copied_once(void **state)
{
	char plain[] = "/tmp/modules_bounds_test.XXXXXX";
	char *at = free_addresses(), *other = at + (16 << 20);
	struct range before, after;

	(void)state;
	if (library_bytes == 0)
		skip();
	forget_build_id(library);
	make_file(plain, library, library_bytes);
	map_object(plain, library, at);
	unlink(plain);
	assert_int_equal(modules_scan(false), 0);
	assert_int_equal(module_of(code_of(library, at))->build_id_len, 0);
	assert_true(modules_find_range((uintptr_t)code_of(library, at), &before));
	/* Anything new makes the table of ranges again. */
	map_object(path, library, other);
	assert_int_equal(modules_scan(false), 0);
	assert_true(modules_find_range((uintptr_t)code_of(library, at), &after));
	assert_ptr_equal(before.place.hdr, after.place.hdr);
	assert_ptr_equal(before.tables, after.tables);
}

/* --- full ------------------------------------------------------------------------------------ */

/* So many executable mappings of one file, two pages apart: none joins its neighbour. */
static void map_many(char *at, unsigned n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	for (unsigned i = 0; i < n; i++)
		if (mmap(at + 8192ul * i, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd,
			 0) == MAP_FAILED)
			abort();
	close(fd);
}

static void more_code_than_there_are_ranges_for_is_counted(void **state)
{
	uint64_t before = count_get(COUNT_MODULE_NO_ROW);
	unsigned known = 0, many = MODULES_LIVE_MAX + 100;
	char *at = free_addresses();

	(void)state;
	if (library_bytes == 0)
		skip();
	map_many(at, many);
	assert_int_equal(modules_scan(false), 0);
	for (unsigned i = 0; i < many; i++)
		known += modules_is_code((uintptr_t)at + 8192ul * i);
	assert_in_range(known, MODULES_LIVE_MAX - 100, MODULES_LIVE_MAX);
	assert_int_equal(count_get(COUNT_MODULE_NO_ROW), before + many - known);
	/* What was there first stays. */
	assert_true(modules_is_code((uintptr_t)module_of));
	unmap_file(at, 8192ul * many);
	dlclose_passes();
	assert_int_equal(modules_scan(false), 0);
	assert_false(modules_is_code((uintptr_t)at));
	assert_true(modules_is_code((uintptr_t)module_of));
}

static void more_modules_than_there_are_rows_for_are_counted(void **state)
{
	uint64_t before = count_get(COUNT_MODULE_NO_ROW);
	char *at = free_addresses();
	unsigned rounds = 0;

	(void)state;
	if (library_bytes == 0)
		skip();
	for (; count_get(COUNT_MODULE_NO_ROW) == before && rounds < 10; rounds++) {
		/* Each round at other addresses: other modules. */
		map_many(at + 4096 * (rounds % 2) + (rounds / 2 << 26), 1500);
		dlclose_passes();
		assert_int_equal(modules_scan(false), 0);
		unmap_file(at, 1u << 29);
	}
	assert_int_equal(modules_count(), MODULES_EVER_MAX);
	assert_true(rounds < 10);
	assert_int_equal(modules_scan(false), 0);
	/* The rows that there are stay good. */
	assert_non_null(module_of((const char *)module_of));
	assert_true(module_of((const char *)module_of)->main);
}

#define TEST(f) cmocka_unit_test_teardown(f, unmap_all)

int main(void)
{
	/* The first needs that nothing was scanned, the last leaves no rows. */
	const struct CMUnitTest tests[] = {
		TEST(the_first_scan_may_fail),
		TEST(a_failed_scan_leaves_what_was_known),
		TEST(what_a_failed_scan_has_met_is_known_after_the_next),
		TEST(a_scan_leaves_no_descriptor_open),
		TEST(after_a_dlclose_during_a_scan_it_looks_again),
		TEST(a_library_that_is_mapped_twice_is_two_modules),
		TEST(the_file_of_a_library_may_be_mapped_below_it_to_be_read),
		TEST(the_first_page_of_a_small_object_may_be_mapped_twice),
		TEST(tables_without_a_build_id_are_copied_once),
		TEST(more_code_than_there_are_ranges_for_is_counted),
		TEST(more_modules_than_there_are_rows_for_are_counted),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
