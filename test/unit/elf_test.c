#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "fake/made_elf.h"
#include "httpd/elf.h"
#include "httpd/elf_tables.h"
#include "sampler/compiler.h"
#include "sampler/os.h"

static const struct made_symbol symbols[] = {
	{ "alpha", 0, 16, STT_FUNC, STB_GLOBAL, 0 },
	{ "beta", 16, 16, STT_FUNC, STB_GLOBAL, 0 },
};
static const struct made_elf how = {
	.full = symbols, .full_count = 2, .dynamic = symbols, .dynamic_count = 1,
	.build_id = "01234567890123456789", .code_bytes = 64,
};

static int open_bytes(struct elf *e, const void *bytes, size_t n)
{
	struct elf_source source = { -1, (uintptr_t)bytes, n };

	return elf_open(e, &source);
}

static void open_file(struct elf *e, const char *path)
{
	struct elf_source source = { .fd = os_open_read(path) };
	struct stat st;

	assert_true(source.fd >= 0);
	assert_int_equal(os_fstat(source.fd, &st), 0);
	source.bytes = (uint64_t)st.st_size;
	assert_int_equal(elf_open(e, &source), 0);
}

static void it_reads_a_made_object(void **state)
{
	struct elf_tables t;
	struct elf e;
	uint8_t *file;
	size_t n = made_elf(&how, &file);
	char name[16];

	(void)state;
	assert_int_equal(open_bytes(&e, file, n), 0);
	assert_int_equal(e.build_id_len, 20);
	assert_memory_equal(e.build_id, how.build_id, 20);
	elf_tables_find(&e, &t);
	assert_int_equal(t.full.count, 2);
	assert_int_equal(t.dynamic.count, 1);
	assert_int_equal(elf_string(&e, t.full.strings, t.full.strings_bytes, 1, name, 16), 5);
	assert_string_equal(name, "alpha");
	assert_int_equal(elf_string(&e, t.full.strings, t.full.strings_bytes, 1, name, 4), 3);
	assert_string_equal(name, "alp");
	assert_int_equal(elf_string(&e, t.full.strings, 4, 1, name, 16), 3);
	assert_string_equal(name, "alp");
	assert_int_equal(elf_string(&e, t.full.strings, 4, 4, name, 16), 0);
	assert_string_equal(name, "");
	assert_int_equal(elf_string(&e, UINT64_MAX, 4, 1, name, 16), 0);
	free(file);
}

static void it_refuses_what_is_none(void **state)
{
	static const struct { const char *says; size_t at; uint8_t byte; int want; } cases[] = {
		{ "magic", 0, 0x7e, -ENOEXEC },
		{ "32 bits", EI_CLASS, ELFCLASS32, -ENOEXEC },
		{ "big-endian", EI_DATA, ELFDATA2MSB, -ENOEXEC },
		{ "version", EI_VERSION, 2, -ENOEXEC },
		{ "an object file", offsetof(Elf64_Ehdr, e_type), ET_REL, -ENOEXEC },
		{ "no segments", offsetof(Elf64_Ehdr, e_phnum), 0, -ENOEXEC },
		{ "size of a segment", offsetof(Elf64_Ehdr, e_phentsize), 55, -ENOEXEC },
		{ "segments elsewhere", offsetof(Elf64_Ehdr, e_phoff) + 7, 0xff, -EIO },
		{ "no PT_LOAD", sizeof(Elf64_Ehdr), PT_NULL, -ENOEXEC },
		{ "sections elsewhere", offsetof(Elf64_Ehdr, e_shoff) + 7, 0xff, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct elf e;
		uint8_t *file;
		size_t n = made_elf(&how, &file);

		file[cases[i].at] = cases[i].byte;
		if (open_bytes(&e, file, n) != cases[i].want)
			fail_msg("%s: not %d", cases[i].says, cases[i].want);
		free(file);
	}
}

static void a_truncated_object_has_no_table_beyond_its_end(void **state)
{
	struct elf_tables t;
	struct elf e;
	uint8_t *file, byte;
	size_t whole = made_elf(&how, &file), opened = 0, with_table = 0;

	(void)state;
	for (size_t n = 0; n <= whole; n++) {
		if (open_bytes(&e, file, n) < 0)
			continue;
		opened++;
		elf_tables_find(&e, &t);
		assert_true(elf_has(&e, t.full.symbols, t.full.count * sizeof(Elf64_Sym)));
		assert_true(elf_has(&e, t.full.strings, t.full.strings_bytes));
		with_table += t.full.count > 0;
		assert_false(elf_read(&e, &byte, 1, n));
		assert_false(elf_read(&e, &byte, 1, UINT64_MAX));
		assert_false(elf_read(&e, &byte, SIZE_MAX, 1));
	}
	assert_true(opened > whole / 2);
	assert_int_equal(with_table, 1);        /* its section headers are at the end */
	free(file);
}

static void sizes_that_overflow_are_refused(void **state)
{
	static const uint64_t values[] = { UINT64_MAX, UINT64_MAX - 23, INT64_MAX, 1u << 30 };

	(void)state;
	for (size_t i = 0; i < 4 * COUNT_OF(values); i++) {
		struct elf_tables t;
		struct elf e;
		uint8_t *file;
		size_t n = made_elf(&how, &file);
		Elf64_Shdr *s = (Elf64_Shdr *)(file + ((Elf64_Ehdr *)file)->e_shoff);

		*(i % 4 < 2 ? (i % 4 ? &s[1].sh_offset : &s[1].sh_size)
			    : (i % 4 == 2 ? &s[3].sh_offset : &s[3].sh_size)) = values[i / 4];
		assert_int_equal(open_bytes(&e, file, n), 0);
		elf_tables_find(&e, &t);
		assert_int_equal(t.full.count, 0);
		free(file);
	}
}

static void it_translates_addresses(void **state)
{
	struct elf e = {
		.load_count = 3,
		.load = {
			{ .offset = 0, .address = 0x400000, .bytes = 0x1000 },
			{ .offset = 0x1234, .address = 0x402234, .bytes = 0x100, .code = true },
			{ .offset = 0x1334, .address = 0x403334, .bytes = 0x100 },
		},
	};
	uint64_t x = 0;

	(void)state;
	assert_false(elf_address(&e, 0, &x));           /* not code */
	assert_false(elf_address(&e, 0xfff, &x));
	assert_true(elf_address(&e, 0x1000, &x));       /* the mapping starts with the page */
	assert_int_equal(x, 0x402000);
	assert_true(elf_address(&e, 0x1333, &x));
	assert_int_equal(x, 0x402333);
	assert_false(elf_address(&e, 0x1334, &x));
	assert_false(elf_address(&e, UINT64_MAX, &x));
	assert_true(elf_offset(&e, 0x403334, &x));
	assert_int_equal(x, 0x1334);
	assert_false(elf_offset(&e, 0x403434, &x));
	assert_false(elf_offset(&e, 0x402233, &x));
	assert_int_equal(elf_code_end(&e, 0x402333), 0x402334);
	assert_int_equal(elf_code_end(&e, 0x402334), 0);
	assert_int_equal(elf_code_end(&e, 0x400000), 0);
}

static void check_dynamic(struct elf *e)
{
	struct elf_tables by_sections, by_tags;

	assert_true(e->section_count > 0);
	elf_tables_find(e, &by_sections);
	assert_true(by_sections.dynamic.count > 1);
	e->section_count = 0;
	elf_tables_find(e, &by_tags);
	assert_int_equal(by_tags.full.count, 0);
	assert_int_equal(by_tags.dynamic.symbols, by_sections.dynamic.symbols);
	assert_int_equal(by_tags.dynamic.count, by_sections.dynamic.count);
	assert_int_equal(by_tags.dynamic.strings, by_sections.dynamic.strings);
	assert_int_equal(by_tags.dynamic.strings_bytes, by_sections.dynamic.strings_bytes);
}

/* The libraries of this program: some have DT_HASH, some DT_GNU_HASH only. */
static int check_library(struct dl_phdr_info *info, size_t size, void *checked)
{
	struct elf e;

	(void)size;
	if (info->dlpi_name[0] != '/')
		return 0;
	open_file(&e, info->dlpi_name);
	check_dynamic(&e);
	os_close(e.source.fd);
	++*(int *)checked;
	return 0;
}

static void without_sections_it_finds_the_dynamic_symbols(void **state)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	struct elf e;
	int checked = 0;

	(void)state;
	dl_iterate_phdr(check_library, &checked);
	assert_true(checked >= 3);              /* cmocka, libc, ld.so */
	if (vdso == 0)
		return;
	assert_int_equal(open_bytes(&e, (const void *)vdso, 8192), 0);
	check_dynamic(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_reads_a_made_object),
		cmocka_unit_test(it_refuses_what_is_none),
		cmocka_unit_test(a_truncated_object_has_no_table_beyond_its_end),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(it_translates_addresses),
		cmocka_unit_test(without_sections_it_finds_the_dynamic_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
