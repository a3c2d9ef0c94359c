#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/auxv.h>

#include "fake/made_module.h"
#include "httpd/job.h"
#include "httpd/names.h"
#include "sampler/compiler.h"
#include "sampler/os.h"

void job_breathe(void) {}

/* Functions of this program: assembler, so that their ends are known, with and without a size or an
 * FDE.  One FDE has no symbol. */
__asm__(".text\n"
	".globl _ZN2ns3Box4workEv\n"
	".type _ZN2ns3Box4workEv, @function\n"
	"_ZN2ns3Box4workEv: .cfi_startproc\n"
	".skip 64, 0x90\n"
	".cfi_endproc\n"
	".size _ZN2ns3Box4workEv, . - _ZN2ns3Box4workEv\n"
	".skip 64, 0x90\n"
	".globl names_test_no_size\n"
	".type names_test_no_size, @function\n"
	"names_test_no_size: .cfi_startproc\n"
	".skip 32, 0x90\n"
	".cfi_endproc\n"
	".skip 32, 0x90\n"
	".globl names_test_no_fde\n"
	".type names_test_no_fde, @function\n"
	"names_test_no_fde: .skip 32, 0x90\n"
	".cfi_startproc\n"
	".skip 32, 0x90\n"
	".cfi_endproc\n"
	".globl names_test_sized\n"
	".type names_test_sized, @function\n"
	"names_test_sized: .skip 32, 0x90\n"
	".size names_test_sized, 32\n"
	".skip 64, 0x90\n");
extern const char work[] __asm__("_ZN2ns3Box4workEv");
extern const char names_test_no_size[], names_test_no_fde[], names_test_sized[];
extern const char __executable_start[];

static struct arena arena;
static struct names_answer answer;

static NOINLINE int a_static_function(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

int names_test_a_global_function(int x);
NOINLINE int names_test_a_global_function(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 2;
}

static const struct names_answer *find(const struct module *module, const void *address)
{
	names_find(&arena, module, (uintptr_t)address, &answer);
	assert_non_null(answer.name);
	assert_non_null(answer.system_name);
	assert_true(answer.name[0] != '\0');
	return &answer;
}

/* "BASE+0xOFFSET" of a module. */
static const char *made_name(const struct module *module, uint64_t offset)
{
	static char name[MODULE_PATH_MAX + 32];

	snprintf(name, sizeof(name), "%s+0x%lx", strrchr(module->path, '/') + 1, (long)offset);
	return name;
}

/* An address in this program, as an address of its object: the test is linked as a PIE. */
static uint64_t in_object(const void *address)
{
	return (uint64_t)((const char *)address - __executable_start);
}

static void functions_of_the_program_have_names(void **state)
{
	struct module m;

	(void)state;
	assert_true(module_of(work, &m));
	find(&m, (const char *)a_static_function + 1);
	assert_string_equal(answer.name, "a_static_function");
	assert_true(answer.start == (uintptr_t)a_static_function);
	assert_true(answer.from_symbol);
	find(&m, (const char *)names_test_a_global_function);
	assert_string_equal(answer.name, "names_test_a_global_function");
	assert_true(answer.start == (uintptr_t)names_test_a_global_function);
	names_reset();
}

static void a_mangled_name_is_made_readable(void **state)
{
	struct module m;

	(void)state;
	assert_true(module_of(work, &m));
	assert_string_equal(find(&m, work + 63)->name, "ns::Box::work");
	assert_string_equal(answer.system_name, "_ZN2ns3Box4workEv");
	assert_true(answer.start == (uintptr_t)work);
	names_reset();
}

static void behind_its_end_a_function_has_no_say(void **state)
{
	struct module m;

	(void)state;
	assert_true(module_of(work, &m));
	assert_string_equal(find(&m, work + 64)->name,
			    made_name(&m, in_object((const void *)m.start)));
	assert_false(answer.from_symbol);
	assert_true(answer.start == m.start);
	/* Without a size: up to the end of its FDE. */
	assert_string_equal(find(&m, names_test_no_size + 31)->name, "names_test_no_size");
	assert_false(find(&m, names_test_no_size + 32)->from_symbol);
	/* Or up to where one begins. */
	assert_string_equal(find(&m, names_test_no_fde + 31)->name, "names_test_no_fde");
	find(&m, names_test_no_fde + 40);
	assert_string_equal(answer.name, made_name(&m, in_object(names_test_no_fde + 32)));
	assert_string_equal(find(&m, names_test_sized + 31)->name, "names_test_sized");
	assert_false(find(&m, names_test_sized + 32)->from_symbol);
	names_reset();
}

static void functions_of_libc_have_names(void **state)
{
	struct module m;

	(void)state;
	assert_true(module_of((const void *)qsort, &m));
	assert_string_equal(find(&m, (const void *)qsort)->name, "qsort");
	assert_string_equal(find(&m, (const char *)qsort + 1)->system_name, "qsort");
	assert_true(answer.start == (uintptr_t)qsort);
	assert_true(answer.from_symbol);
	names_reset();
}

static void functions_of_the_vdso_have_names(void **state)
{
	const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);
	struct module m;
	bool found = false;

	(void)state;
	if (vdso == NULL)
		skip();
	assert_true(module_of(vdso, &m));
	for (uintptr_t at = m.start; at < m.limit; at += 16) {
		find(&m, (const void *)at);
		assert_true(answer.start <= at && answer.start >= m.start);
		found |= strstr(answer.name, "gettime") != NULL && answer.from_symbol;
	}
	assert_true(found);
	assert_string_equal(find(&m, vdso)->name, "[vdso]+0x0");
	names_reset();
}

/* A copy of this program without section headers, so without .symtab. */
static void of_a_stripped_program_the_functions_have_numbers(void **state)
{
	static uint8_t bytes[16 << 20];
	int fd = open("/proc/self/exe", O_RDONLY);
	char path[] = "/tmp/names_test.XXXXXX";
	ssize_t n = read(fd, bytes, sizeof(bytes));
	struct module m;
	struct stat st;

	(void)state;
	close(fd);
	assert_true(n > 0 && n < (ssize_t)sizeof(bytes));
	((Elf64_Ehdr *)bytes)->e_shoff = 0;
	((Elf64_Ehdr *)bytes)->e_shnum = 0;
	close(mkstemp(path));
	assert_true(write_file(path, bytes, (size_t)n));
	assert_true(module_of(work, &m));
	assert_int_equal(stat(path, &st), 0);
	m.inode = st.st_ino;
	m.dev = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	strcpy(m.path, path);
	for (int i = 0; i < 64; i++) {
		find(&m, work + i);
		assert_string_equal(answer.name, made_name(&m, in_object(work)));
		assert_string_equal(answer.system_name, answer.name);
		assert_true(answer.start == (uintptr_t)work);
		assert_false(answer.from_symbol);
	}
	assert_string_equal(find(&m, work + 64)->name,
			    made_name(&m, in_object((const void *)m.start)));
	unlink(path);
	names_reset();
}

static void a_file_that_is_another_is_not_used(void **state)
{
	struct module m;

	(void)state;
	assert_true(module_of(work, &m));
	m.inode++;
	assert_string_equal(find(&m, work)->name, made_name(&m, m.offset));
	assert_true(answer.start == m.start);
	names_reset();
	m.inode--;
	m.dev++;
	assert_false(find(&m, work)->from_symbol);
	names_reset();
	m.dev--;
	assert_true(find(&m, work)->from_symbol);
	names_reset();
	m.build_id_len = 20;    /* of zeroes: not that of the file, whatever its inode */
	assert_string_equal(find(&m, work)->name, made_name(&m, m.offset));
	names_reset();
}

static void the_program_itself_is_found_without_its_path(void **state)
{
	struct module m;

	(void)state;
	assert_true(module_of(work, &m));
	strcpy(m.path, "/gone/names_test");
	m.deleted = true;
	assert_string_equal(find(&m, work)->name, made_name(&m, m.offset));
	names_reset();
	m.main = true;
	assert_string_equal(find(&m, work)->name, "ns::Box::work");
	names_reset();
}

static void what_is_no_object_has_a_name_all_the_same(void **state)
{
	struct module m = { .start = 0x1000, .limit = 0x2000 };

	(void)state;
	assert_string_equal(find(NULL, work)->name, "[anon]");
	assert_string_equal(answer.system_name, "[anon]");
	assert_true(answer.start == (uintptr_t)work);
	assert_string_equal(find(&m, (const void *)0x1800)->name, "[anon]");
	strcpy(m.path, "[vsyscall]");
	assert_string_equal(find(&m, (const void *)0x1800)->name, "[vsyscall]+0x0");
	assert_int_equal(answer.start, 0x1000);
	memset(m.path, 'x', sizeof(m.path) - 1);
	m.path[0] = '/';
	assert_int_equal(strlen(find(&m, (const void *)0x1800)->name), sizeof(m.path) - 2 + 4);
	names_reset();
}

static void a_full_arena_is_no_reason_to_be_silent(void **state)
{
	struct module m;
	struct arena full;

	(void)state;
	assert_true(module_of(work, &m));
	arena_init(&full, 0, os_map, os_unmap);
	names_find(&full, &m, (uintptr_t)work, &answer);
	assert_string_equal(answer.name, "[out of memory]");
	assert_string_equal(answer.system_name, "[out of memory]");
	assert_true(answer.start == (uintptr_t)work);
	names_find(&full, &m, (uintptr_t)work + 64, &answer);
	assert_string_equal(answer.name, "[out of memory]");
	names_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_the_program_have_names),
		cmocka_unit_test(a_mangled_name_is_made_readable),
		cmocka_unit_test(behind_its_end_a_function_has_no_say),
		cmocka_unit_test(functions_of_libc_have_names),
		cmocka_unit_test(functions_of_the_vdso_have_names),
		cmocka_unit_test(of_a_stripped_program_the_functions_have_numbers),
		cmocka_unit_test(a_file_that_is_another_is_not_used),
		cmocka_unit_test(the_program_itself_is_found_without_its_path),
		cmocka_unit_test(what_is_no_object_has_a_name_all_the_same),
		cmocka_unit_test(a_full_arena_is_no_reason_to_be_silent),
	};

	if (a_static_function(0) + names_test_a_global_function(0) != 3)
		return 1;
	arena_init(&arena, 64u << 20, os_map, os_unmap);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
