/* What is mapped at start, and what comes and goes.  Failures and full tables:
 * modules_bounds_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "fake/mapped_file.h"
#include "sampler/compiler.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"

static const struct module *module_of(uintptr_t pc)
{
	return modules_find(modules_frame(pc));
}

static uintptr_t address(void *f)
{
	return (uintptr_t)f;
}

/* A function of libc that no sanitizer puts one of its own in front of. */
static uintptr_t in_libc(void)
{
	return address(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
}

static const struct module *by_path(const char *part)
{
	for (uint32_t i = 0; i < modules_count(); i++)
		if (strstr(modules_at(i)->path, part) != NULL)
			return modules_at(i);
	return NULL;
}

/* --- there at start -------------------------------------------------------------------------- */

static void what_is_there_at_start_is_permanent(void **state)
{
	(void)state;
	assert_true(modules_count() >= 5);
	for (uint32_t i = 0; i < modules_count(); i++) {
		const struct module *m = modules_at(i);

		assert_true(m->permanent && m->alive && m->start < m->limit);
		assert_true(m->image != 0 && m->image <= m->start);
		assert_memory_equal((const void *)m->image, ELFMAG, SELFMAG);
	}
}

static void the_program_its_libraries_the_loader_and_the_vdso_are_found(void **state)
{
	static const char *const parts[] = { "/libc.so", "/ld-linux", "/libcmocka.so", "[vdso]" };
	char exe[MODULE_PATH_MAX] = "";
	const struct module *m = module_of(address(what_is_there_at_start_is_permanent));

	(void)state;
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_non_null(m);
	assert_string_equal(m->path, exe);
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (by_path(parts[i]) == NULL)
			fail_msg("no %s", parts[i]);
	assert_ptr_equal(module_of(in_libc()), by_path("/libc.so"));
	assert_true(by_path("[vdso]")->image == getauxval(AT_SYSINFO_EHDR));
}

/* The main program is marked by its entry point, and nothing else is. */
static void the_program_is_the_main_module(void **state)
{
	(void)state;
	modules_set_main(in_libc());
	assert_true(by_path("/libc.so")->main);
	modules_set_main(getauxval(AT_ENTRY));
	for (uint32_t i = 0; i < modules_count(); i++)
		assert_int_equal(modules_at(i)->main,
				 modules_at(i) == module_of(address(by_path)));
}

/* What the loader knows of an object, against ours. */
static int compare_object(struct dl_phdr_info *info, size_t size, void *checked)
{
	const struct module *m = NULL;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum && m == NULL; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
			m = module_of(info->dlpi_addr + p->p_vaddr);
	}
	for (unsigned i = 0; i < info->dlpi_phnum && m != NULL; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const char *note = (const char *)info->dlpi_addr + p->p_vaddr;

		for (size_t at = 0; p->p_type == PT_NOTE && at + 36 <= p->p_memsz; at += 4)
			if (memcmp(note + at, "\4\0\0\0\x14\0\0\0\3\0\0\0GNU", 16) == 0)
				*(unsigned *)checked +=
					m->build_id_len == 20 &&
					memcmp(m->build_id, note + at + 16, 20) == 0;
	}
	return m == NULL;
}

static void build_ids_are_those_of_the_loaders_objects(void **state)
{
	unsigned checked = 0, have = 0;

	(void)state;
	assert_int_equal(dl_iterate_phdr(compare_object, &checked), 0);
	for (uint32_t i = 0; i < modules_count(); i++)
		have += modules_at(i)->build_id_len > 0;
	assert_true(checked >= 5);
	assert_int_equal(checked, have);
}

static void the_build_id_is_the_one_that_readelf_says(void **state)
{
	char ours[2 * BUILD_ID_MAX + 1] = "", line[512], command[MODULE_PATH_MAX + 64];
	const struct module *m = by_path("/libc.so");
	bool found = false, any = false;
	FILE *readelf;

	(void)state;
	for (unsigned i = 0; i < m->build_id_len; i++)
		snprintf(ours + 2 * i, 3, "%02x", m->build_id[i]);
	snprintf(command, sizeof(command), "readelf -n '%s' 2>/dev/null", m->path);
	readelf = popen(command, "r");
	while (readelf != NULL && fgets(line, sizeof(line), readelf) != NULL) {
		any = true;
		found |= strstr(line, "Build ID: ") != NULL && strstr(line, ours) != NULL;
	}
	if (readelf != NULL)
		pclose(readelf);
	if (!any)
		skip();
	assert_true(found);
}

static void frames_of_permanent_code_have_no_epoch(void **state)
{
	uintptr_t pc = address(module_of);

	(void)state;
	assert_true(modules_frame(pc) == pc);
	dlclose_passes();
	assert_true(modules_frame(pc) == pc);
	assert_non_null(modules_find(pc));
	/* That address under an epoch was something else's. */
	assert_null(modules_find(pc | (frame_t)modules_epoch() << 48));
	assert_int_equal(modules_scan(false), 0);
}

static void code_is_told_from_data_and_ours_from_the_hosts(void **state)
{
	static char data[16];
	char on_stack[16];

	(void)state;
	assert_true(modules_is_code(address(module_of)));
	assert_true(modules_is_code(in_libc()));
	assert_false(modules_is_code((uintptr_t)data));
	assert_false(modules_is_code((uintptr_t)on_stack));
	assert_false(modules_is_code(0));
	assert_false(modules_is_code(UINTPTR_MAX));
	assert_true(modules_is_ours(address(module_of)));
	assert_false(modules_is_ours(in_libc()));
	assert_false(modules_is_ours((uintptr_t)data));
}

static void each_edge_of_a_mapping_is_on_its_side(void **state)
{
	const struct module *m = by_path("/libc.so");

	(void)state;
	assert_true(modules_is_code(m->start));
	assert_true(modules_is_code(m->limit - 1));
	assert_false(modules_is_code(m->start - 1));
	assert_false(modules_is_code(m->limit));
	assert_ptr_equal(module_of(m->start), m);
	assert_ptr_equal(module_of(m->limit - 1), m);
	assert_null(module_of(m->limit));
}

static void the_main_threads_stack_ends_where_the_kernel_says(void **state)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, limit, hi = 0;
	char line[1024];

	(void)state;
	while (fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "[stack]") != NULL && sscanf(line, "%lx-%lx", &start, &limit) == 2)
			hi = limit;
	fclose(maps);
	assert_true(modules_main_stack_hi() == hi);
}

static void permanent_tables_are_used_in_place(void **state)
{
	const struct module *m = by_path("/libc.so");
	struct range r;

	(void)state;
	assert_true(modules_find_range(m->start, &r));
	assert_true(r.permanent);
	assert_int_equal(r.image, m->image);
	assert_non_null(r.tables);
	assert_int_equal(r.place.moved, 0);
	assert_true((uintptr_t)r.place.hdr > m->image);
	assert_true(r.place.lo <= r.place.hdr && r.place.hdr < r.place.hi);
	/* Version 1, and the encodings of every linker. */
	assert_memory_equal(r.place.hdr, "\1\x1b\3\x3b", 4);
}

/* --- what comes and goes --------------------------------------------------------------------- */

static void a_library_is_known_from_the_next_scan_on(void **state)
{
	void *library = dlopen(SOME_LIBRARY, RTLD_NOW);
	uintptr_t pc = library != NULL ? address(dlsym(library, "BZ2_bzCompress")) : 0;
	struct range r;
	const struct module *m;
	frame_t early;

	(void)state;
	if (library == NULL)
		skip();
	early = modules_frame(pc);
	assert_int_equal(frame_epoch(early), modules_epoch());
	assert_int_equal(frame_pc(early), pc);
	assert_null(modules_find(early));
	assert_false(modules_are_wanted());
	assert_false(modules_find_range(pc, &r));
	assert_true(modules_are_wanted());
	assert_int_equal(modules_scan(false), 0);
	assert_false(modules_are_wanted());
	m = modules_find(early);
	assert_non_null(m);
	assert_non_null(strstr(m->path, "libbz2"));
	assert_false(m->permanent);
	assert_true(m->alive);
	assert_true(modules_is_code(pc));
	assert_ptr_equal(module_of(pc), m);
	dlclose_passes();
	dlclose(library);
	assert_int_equal(modules_scan(false), 0);
}

/* Another library goes before anybody has looked: it may have been at this address until then. */
static void a_library_is_known_for_the_epoch_of_the_scan(void **state)
{
	char *at = free_addresses(), *file = NULL;
	char path[] = "/tmp/modules_test.XXXXXX";
	size_t n = read_library(SOME_LIBRARY, &file), bytes;
	frame_t before, after;
	uintptr_t pc;

	(void)state;
	if (n == 0)
		skip();
	assert_int_equal(modules_scan(false), 0);
	make_file(path, file, n);
	bytes = map_object(path, file, at);
	unlink(path);
	pc = (uintptr_t)code_of(file, at);
	before = modules_frame(pc);
	dlclose_passes();
	after = modules_frame(pc);
	assert_true(before != after);
	assert_int_equal(modules_scan(false), 0);
	assert_null(modules_find(before));
	assert_non_null(modules_find(after));
	unmap_file(at, bytes);
	dlclose_passes();
	assert_int_equal(modules_scan(false), 0);
	free(file);
}

static void tables_of_a_library_that_can_go_are_a_copy(void **state)
{
	void *library = dlopen(SOME_LIBRARY, RTLD_NOW);
	uintptr_t pc = library != NULL ? address(dlsym(library, "BZ2_bzCompress")) : 0;
	static uint8_t original[1 << 16];
	struct range r;
	size_t bytes;

	(void)state;
	if (library == NULL)
		skip();
	assert_int_equal(modules_scan(false), 0);
	assert_true(modules_find_range(pc, &r));
	assert_false(r.permanent);
	bytes = (size_t)(r.place.hi - r.place.lo);
	assert_in_range(bytes, 100, sizeof(original));
	memcpy(original, (const void *)((uintptr_t)r.place.lo + r.place.moved), bytes);
	assert_int_not_equal(r.place.moved, 0);
	/* Gone, but nobody has looked yet: what was given out can still be read, and says the
	 * same; nobody gets it any more. */
	dlclose_passes();
	dlclose(library);
	assert_memory_equal(r.place.lo, original, bytes);
	assert_false(modules_find_range(pc, &r));
	assert_int_equal(modules_scan(false), 0);
	assert_false(modules_find_range(pc, &r));
}

static void a_dlclose_is_a_reason_to_look(void **state)
{
	uint16_t before = modules_epoch();

	(void)state;
	assert_int_equal(modules_scan(false), 0);
	assert_false(modules_are_wanted());
	dlclose_passes();
	assert_true(modules_epoch() > before);
	assert_true(modules_are_wanted());
	assert_int_equal(modules_scan(false), 0);
	assert_false(modules_are_wanted());
}

static void frames_of_a_library_that_has_gone_still_mean_it(void **state)
{
	void *library = dlopen(SOME_LIBRARY, RTLD_NOW);
	uintptr_t pc = library != NULL ? address(dlsym(library, "BZ2_bzCompress")) : 0;
	const struct module *m;
	frame_t frame;
	uint32_t count;

	(void)state;
	if (library == NULL)
		skip();
	assert_int_equal(modules_scan(false), 0);
	frame = modules_frame(pc);
	m = modules_find(frame);
	count = modules_count();
	dlclose_passes();
	dlclose(library);
	assert_int_equal(modules_scan(false), 0);
	assert_int_equal(modules_count(), count);
	assert_ptr_equal(modules_find(frame), m);
	assert_false(m->alive);
	assert_false(modules_is_code(pc));
	/* The same address, recorded now, is nobody's. */
	assert_true(modules_frame(pc) != frame);
	assert_null(module_of(pc));
}

/* Two files, mapped at the same address one after the other: addresses mean what was there when
 * they were recorded, whether a scan came between or not. */
static void at_the_same_address_the_build_decides(void **state)
{
	char first[] = "/tmp/modules_test.XXXXXX", second[] = "/tmp/modules_test.XXXXXX";
	char *at = free_addresses(), *file = NULL;
	size_t n = read_library(SOME_LIBRARY, &file), bytes;
	uintptr_t pc;

	(void)state;
	if (n == 0)
		skip();
	make_file(first, file, n);
	change_build_id(file, n);
	make_file(second, file, n);
	pc = (uintptr_t)code_of(file, at) + 100;
	for (int scan_between = 0; scan_between <= 1; scan_between++) {
		frame_t of_first, of_second, of_nobody;

		bytes = map_object(first, file, at);
		assert_int_equal(modules_scan(false), 0);
		of_first = modules_frame(pc);
		dlclose_passes();
		unmap_file(at, bytes);
		if (scan_between)
			assert_int_equal(modules_scan(false), 0);
		map_object(second, file, at);
		of_second = modules_frame(pc);
		assert_int_equal(modules_scan(false), 0);
		assert_string_equal(modules_find(of_first)->path, first);
		assert_string_equal(modules_find(of_second)->path, second);
		assert_ptr_equal(modules_find(modules_frame(pc)), modules_find(of_second));
		dlclose_passes();
		unmap_file(at, bytes);
		assert_int_equal(modules_scan(false), 0);
		of_nobody = modules_frame(pc);
		assert_null(modules_find(of_nobody));
		assert_string_equal(modules_find(of_first)->path, first);
		assert_string_equal(modules_find(of_second)->path, second);
	}
	unlink(first);
	unlink(second);
	free(file);
}

/* A plugin that comes and goes all day. */
static void what_comes_again_to_its_place_is_the_same_module(void **state)
{
	char path[] = "/tmp/modules_test.XXXXXX", other[] = "/tmp/modules_test.XXXXXX";
	char *at = free_addresses(), *file = NULL;
	size_t n = read_library(SOME_LIBRARY, &file), bytes;
	const struct module *m = NULL;
	frame_t frame[20];
	uint32_t count = 0;

	(void)state;
	if (n == 0)
		skip();
	make_file(path, file, n);
	change_build_id(file, n);
	make_file(other, file, n);
	for (unsigned i = 0; i < 20; i++) {
		bytes = map_object(path, file, at);
		assert_int_equal(modules_scan(false), 0);
		frame[i] = modules_frame((uintptr_t)code_of(file, at) + 100);
		if (i == 0) {
			m = modules_find(frame[0]);
			count = modules_count();
		}
		assert_true(m->alive && modules_is_code(frame_pc(frame[i])));
		dlclose_passes();
		unmap_file(at, bytes);
		assert_int_equal(modules_scan(false), 0);
		assert_true(!m->alive && !modules_is_code(frame_pc(frame[i])));
	}
	assert_int_equal(modules_count(), count);
	for (unsigned i = 0; i < 20; i++)
		assert_ptr_equal(modules_find(frame[i]), m);
	/* Also after something else was there. */
	bytes = map_object(other, file, at);
	assert_int_equal(modules_scan(false), 0);
	dlclose_passes();
	unmap_file(at, bytes);
	assert_int_equal(modules_scan(false), 0);
	map_object(path, file, at);
	assert_int_equal(modules_scan(false), 0);
	assert_int_equal(modules_count(), count + 1);
	assert_ptr_equal(module_of(frame_pc(frame[0])), m);
	dlclose_passes();
	unmap_file(at, bytes);
	assert_int_equal(modules_scan(false), 0);
	unlink(path);
	unlink(other);
	free(file);
}

static void write_anew(const char *path, const char *file, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, file, n), n);
	close(fd);
}

/* A plugin that is built again between its unloading and its loading, into the same file. */
static void another_build_in_the_same_file_is_another_module(void **state)
{
	char path[] = "/tmp/modules_test.XXXXXX", *at = free_addresses(), *file = NULL, *other;
	size_t n = read_library(SOME_LIBRARY, &file), bytes;
	const struct module *m[6];
	uint32_t count = 0;

	(void)state;
	if (n == 0)
		skip();
	other = malloc(n);
	memcpy(other, file, n);
	change_build_id(other, n);
	make_file(path, file, n);
	for (unsigned i = 0; i < 6; i++) {
		write_anew(path, i % 2 == 0 ? file : other, n);
		bytes = map_object(path, file, at);
		assert_int_equal(modules_scan(false), 0);
		m[i] = module_of((uintptr_t)code_of(file, at) + 100);
		assert_non_null(m[i]);
		if (i == 1)
			count = modules_count();
		dlclose_passes();
		unmap_file(at, bytes);
	}
	assert_ptr_not_equal(m[0], m[1]);
	assert_memory_not_equal(m[0]->build_id, m[1]->build_id, 20);
	for (unsigned i = 2; i < 6; i++)
		assert_ptr_equal(m[i], m[i - 2]);
	assert_int_equal(modules_count(), count);
	assert_int_equal(modules_scan(false), 0);
	unlink(path);
	free(other);
	free(file);
}

static void a_file_that_was_unlinked_is_said_to_be(void **state)
{
	char path[] = "/tmp/modules_test.XXXXXX", *at = free_addresses(), *file = NULL;
	size_t n = read_library(SOME_LIBRARY, &file), bytes;
	const struct module *m;

	(void)state;
	if (n == 0)
		skip();
	make_file(path, file, n);
	bytes = map_object(path, file, at);
	assert_int_equal(modules_scan(false), 0);
	m = module_of((uintptr_t)code_of(file, at));
	assert_non_null(m);
	assert_false(m->deleted);
	unlink(path);
	assert_int_equal(modules_scan(false), 0);
	assert_true(m->deleted);
	assert_ptr_equal(module_of((uintptr_t)code_of(file, at)), m);
	assert_string_equal(m->path, path);
	unmap_file(at, bytes);
	assert_int_equal(modules_scan(false), 0);
	free(file);
}

/* A JIT's: code, but nobody's. */
static void code_without_a_file_is_code_of_no_module(void **state)
{
	char *at = free_addresses();
	struct range r;

	(void)state;
	assert_int_equal(mprotect(at, 8192, PROT_READ | PROT_EXEC), 0);
	assert_false(modules_is_code((uintptr_t)at));
	assert_int_equal(modules_scan(false), 0);
	assert_true(modules_is_code((uintptr_t)at));
	assert_true(modules_is_code((uintptr_t)at + 8191));
	assert_null(module_of((uintptr_t)at));
	assert_true(modules_find_range((uintptr_t)at, &r));
	assert_true(r.place.hdr == NULL && r.tables == NULL && r.image == 0 && !r.permanent);
	assert_false(modules_are_wanted());
	assert_int_equal(mprotect(at, 8192, PROT_NONE), 0);
	assert_int_equal(modules_scan(false), 0);
	assert_false(modules_is_code((uintptr_t)at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_at_start_is_permanent),
		cmocka_unit_test(the_program_its_libraries_the_loader_and_the_vdso_are_found),
		cmocka_unit_test(the_program_is_the_main_module),
		cmocka_unit_test(build_ids_are_those_of_the_loaders_objects),
		cmocka_unit_test(the_build_id_is_the_one_that_readelf_says),
		cmocka_unit_test(frames_of_permanent_code_have_no_epoch),
		cmocka_unit_test(code_is_told_from_data_and_ours_from_the_hosts),
		cmocka_unit_test(each_edge_of_a_mapping_is_on_its_side),
		cmocka_unit_test(the_main_threads_stack_ends_where_the_kernel_says),
		cmocka_unit_test(permanent_tables_are_used_in_place),
		cmocka_unit_test(a_library_is_known_from_the_next_scan_on),
		cmocka_unit_test(a_library_is_known_for_the_epoch_of_the_scan),
		cmocka_unit_test(tables_of_a_library_that_can_go_are_a_copy),
		cmocka_unit_test(a_dlclose_is_a_reason_to_look),
		cmocka_unit_test(frames_of_a_library_that_has_gone_still_mean_it),
		cmocka_unit_test(at_the_same_address_the_build_decides),
		cmocka_unit_test(what_comes_again_to_its_place_is_the_same_module),
		cmocka_unit_test(another_build_in_the_same_file_is_another_module),
		cmocka_unit_test(a_file_that_was_unlinked_is_said_to_be),
		cmocka_unit_test(code_without_a_file_is_code_of_no_module),
	};

	if (modules_scan(true) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
