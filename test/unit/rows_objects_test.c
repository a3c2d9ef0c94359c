/* Rows say what the interpreter says, or RULES_ASK, of every object of this process; or, for hand,
 * of each ELF file that is named on the command line (with its whole path, and then of nothing
 * else). */
#include "sampler/rows_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <link.h>

#include "fake/mapped_file.h"
#include "sampler/objects.h"
#include "sampler/os.h"
#include "test/unit/rows_compare.h"

struct sums { unsigned objects; size_t text, rows; };

/* All of a sanitizer's tables would take a minute. */
#ifdef SHIM_CHECKS
#define STEP 17
#else
#define STEP 1
#endif

/* Row by row, whatever STEP is. */
static void compare_boundaries(const struct cfi_object *object, uintptr_t image)
{
	for (uint32_t i = 0; i < rows.count; i++)
		for (uintptr_t pc = image + rows.row[i].offset - 1, n = 0; n < 3; n++)
			assert_int_equal(compare_at(object, image, pc + n), 0);
	assert_int_equal(rows_find(&rows, rows.first - 1u), RULES_UNDESCRIBED);
	assert_int_equal(rows_find(&rows, rows.limit), RULES_UNDESCRIBED);
	assert_int_equal(rows_find(&rows, UINT64_MAX), RULES_UNDESCRIBED);
	assert_int_equal(rows_find(&rows, (UINT64_C(1) << 32) + rows.first), RULES_UNDESCRIBED);
}

static void compare_object(const char *name, uintptr_t image, uintptr_t bias,
			   const Elf64_Phdr *ph, unsigned n, struct sums *sums)
{
	struct cfi_object object;
	struct object o;
	size_t text = 0;

	assert_true(objects_read(image, &o));
	if (o.hdr == 0)
		return;
	object = (struct cfi_object){ (const uint8_t *)o.hdr, (const uint8_t *)o.lo,
				      (const uint8_t *)o.hi, 0 };
	if (!compile(&object, image, 1000)) {
		assert_int_equal(cfi_table_count(&object), 0);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		uintptr_t start = bias + ph[i].p_vaddr;

		if (ph[i].p_type != PT_LOAD || !(ph[i].p_flags & PF_X))
			continue;
		text += ph[i].p_filesz;
		assert_int_equal(compare(&object, image, start, start + ph[i].p_filesz, STEP), 0);
	}
	compare_boundaries(&object, image);
	print_message("%-40s %9zu text %7u rows, %3zu KB/MB\n", name, text, rows.count,
		      row_bytes * 1024 / (text + 1));
	sums->objects++;
	sums->text += text;
	sums->rows += row_bytes;
	drop();
}

static int compare_loaded(struct dl_phdr_info *info, size_t size, void *sums)
{
	uintptr_t image = 0;

	(void)size;
	for (unsigned i = info->dlpi_phnum; i-- > 0;)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			image = (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr) / 4096 * 4096;
	compare_object(info->dlpi_name, image, info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum,
		       sums);
	return 0;
}

static void rows_of_all_loaded_objects_say_what_their_tables_say(void **state)
{
	struct sums sums = { 0 };

	(void)state;
	dl_iterate_phdr(compare_loaded, &sums);
	assert_true(sums.objects >= 4);
	/* All of a Debian: 145 KB (rows.h); libc, which is most of this process: 175. */
	assert_true(sums.rows < sums.text / 4);
}

static const char *const *files;

static void rows_of_the_named_files_say_what_their_tables_say(void **state)
{
	struct sums sums = { 0 };

	(void)state;
	for (; *files != NULL; files++) {
		char *file = NULL, *at = free_addresses();
		const Elf64_Ehdr *e;
		const Elf64_Phdr *ph;
		uintptr_t image = 0;

		assert_true(read_library(*files, &file) > 0);
		e = (const Elf64_Ehdr *)(const void *)file;
		ph = (const Elf64_Phdr *)(const void *)(file + e->e_phoff);
		for (unsigned i = e->e_phnum; i-- > 0;)
			if (ph[i].p_type == PT_LOAD)
				image = (uintptr_t)at + ph[i].p_vaddr / 4096 * 4096;
		map_object(*files, file, at);
		compare_object(*files, image, (uintptr_t)at, ph, e->e_phnum, &sums);
		unmap_file(at, 1u << 30);
		free(file);
	}
	print_message("%u objects, %zu MB, %zu KB/MB\n", sums.objects, sums.text >> 20,
		      sums.rows * 1024 / (sums.text + 1));
	assert_true(sums.objects > 0);
}

static void rows_made_entry_by_entry_are_the_same(void **state)
{
	Dl_info info;
	struct object o;
	struct cfi_object object;
	struct rows whole;
	size_t whole_bytes;
	uintptr_t image;

	(void)state;
	assert_int_not_equal(dladdr((void *)(uintptr_t)strtod, &info), 0);
	image = (uintptr_t)info.dli_fbase;
	assert_true(objects_read(image, &o) && o.hdr != 0);
	object = (struct cfi_object){ (const uint8_t *)o.hdr, (const uint8_t *)o.lo,
				      (const uint8_t *)o.hi, 0 };
	assert_true(compile(&object, image, 1u << 30));
	whole = rows;
	whole_bytes = row_bytes;
	assert_true(compile(&object, image, 1));
	assert_int_equal(row_bytes, whole_bytes);
	assert_memory_equal(rows.row, whole.row, row_bytes);
	assert_true(rows.first == whole.first && rows.limit == whole.limit &&
		    rows.count == whole.count);
	drop();
	rows = whole;
	drop();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_all_loaded_objects_say_what_their_tables_say),
		cmocka_unit_test(rows_made_entry_by_entry_are_the_same),
	};
	const struct CMUnitTest of_files[] = {
		cmocka_unit_test(rows_of_the_named_files_say_what_their_tables_say),
	};

	if (argc > 1) {
		files = (const char *const *)argv + 1;
		return cmocka_run_group_tests(of_files, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
