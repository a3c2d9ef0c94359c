/* Rows say what the interpreter says, or RULES_ASK: of every object of this process, of tables that
 * are made up; or, for hand, of each ELF file that is named on the command line (with its whole path,
 * and then of nothing else). */
#include "sampler/rows_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <link.h>
#include <sys/syscall.h>

#include "fake/mapped_file.h"
#include "fake/odds.h"
#include "fake/sys_refused.h"
#include "sampler/cfi_find.h"
#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/objects.h"
#include "sampler/os.h"
#include "test/unit/cfi_image.h"

static struct rows_build build;
static struct cfi_work work;
static struct rows rows;
static size_t row_bytes;

/* Compile so many entries at a time. */
static bool compile(const struct cfi_object *object, uintptr_t image, unsigned at_once)
{
	if (!rows_build_begin(&build, object, image))
		return false;
	while (rows_build_go_on(&build, at_once))
		;
	return rows_build_end(&build, &rows, &row_bytes);
}

static void drop(void)
{
	os_unmap((void *)(uintptr_t)rows.row, row_bytes);
}

static uint32_t interpret(const struct cfi_object *object, uintptr_t pc)
{
	if (!cfi_find_row(object, pc, &work))
		return RULES_UNDESCRIBED;
	return rules_at(rules_from_row(object, &work.row), pc);
}

/* How many addresses have RULES_ASK though the interpreter knows a rule; -1: one has another. */
static long compare_at(const struct cfi_object *object, uintptr_t image, uintptr_t pc)
{
	uint32_t have = rows_find(&rows, pc - image), want = interpret(object, pc);

	if (have == want)
		return 0;
	if (have == RULES_ASK)
		return 1;
	print_error("offset %#lx: rows say %#x, tables %#x\n", (long)(pc - image), have, want);
	return -1;
}

static long compare(const struct cfi_object *object, uintptr_t image, uintptr_t lo, uintptr_t hi,
		    unsigned step)
{
	long asks = 0;

	for (uintptr_t pc = lo; pc < hi; pc += step) {
		long at = compare_at(object, image, pc);

		if (at < 0)
			return -1;
		asks += at;
	}
	return asks;
}

/* --- of real objects ------------------------------------------------------------------------- */

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

/* --- of tables that are made up -------------------------------------------------------------- */

/* Offsets and rules, as the tests below name them. */
#define CODE (IMAGE_CODE - IMAGE_BASE)
#define SP8  (RULES_SP | 8)
#define SP16 (RULES_SP | 16)
#define SP24 (RULES_SP | 24)
#define NOT  RULES_UNDESCRIBED
#define ASK  RULES_ASK

static struct image image;
static struct cfi_object object;

static int begin(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	return 0;
}

static bool compile_image(void)
{
	image_end(&image);
	object = image_place(&image, image.n, true);
	return compile(&object, IMAGE_BASE, 1);
}

static void fde(uint32_t offset, uint32_t size, struct ops ops)
{
	image_fde(&image, IMAGE_CODE + offset, size, ops);
}

/* Those of the image are these; wherever they do not ask, its tables say the same. */
static void check_rows(const struct row *want, size_t n, uint32_t reach)
{
	assert_int_equal(rows.count, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(rows.row[i].offset, CODE + want[i].offset);
		assert_int_equal(rows.row[i].rule, want[i].rule);
	}
	assert_int_equal(rows.first, rows.row[0].offset);
	assert_int_equal(rows.limit, rows.row[n - 1].offset);
	assert_true(compare(&object, IMAGE_BASE, IMAGE_CODE - 10, IMAGE_CODE + reach + 600, 1) >= 0);
	drop();
}

#define CHECK_ROWS(...)                                                 \
	do {                                                            \
		const struct row want_[] = { __VA_ARGS__ };             \
									\
		assert_true(compile_image());                           \
		check_rows(want_, COUNT_OF(want_), want_[COUNT_OF(want_) - 1].offset); \
	} while (0)

static void functions_side_by_side_and_apart(void **state)
{
	(void)state;
	fde(0, 100, OPS(0x44, 0x0e, 16));
	fde(100, 50, OPS(0x0e, 24));
	fde(700, 2000, OPS(0x0e, 24, 0x03, 0, 4, 0x0e, 16));
	CHECK_ROWS({ 0, SP8 }, { 4, SP16 }, { 100, SP24 }, { 150, NOT }, { 700, SP24 },
		   { 1724, SP16 }, { 2700, NOT });
}

static void rows_that_say_the_same_are_one(void **state)
{
	(void)state;
	fde(0, 100, OPS(0x44, 0x83, 2, 0x44, 0x0e, 16));
	fde(100, 50, OPS(0x0e, 16));
	CHECK_ROWS({ 0, SP8 }, { 8, SP16 }, { 150, NOT });
}

static void states_are_remembered(void **state)
{
	(void)state;
	fde(0, 100, OPS(0x41, 0x0e, 16, 0x0a, 0x44, 0x0e, 8, 0x41, 0x0b, 0x44, 0x0e, 24));
	CHECK_ROWS({ 0, SP8 }, { 1, SP16 }, { 5, SP8 }, { 6, SP16 }, { 10, SP24 }, { 100, NOT });
}

/* What a record says behind its end is of no interest. */
static void a_program_may_be_longer_than_its_function(void **state)
{
	(void)state;
	fde(0, 4, OPS(0x41, 0x0e, 16, 0x43, 0x0e, 24, 0x50, 0x3f));
	CHECK_ROWS({ 0, SP8 }, { 1, SP16 }, { 4, NOT });
}

static void of_functions_that_overlap_the_later_one_counts(void **state)
{
	(void)state;
	fde(0, 200, OPS(0x0e, 16));
	fde(100, 50, OPS(0x0e, 24));
	fde(400, 10, NO_OPS);
	/* Behind the inner one the interpreter finds the outer one, and nothing behind that. */
	CHECK_ROWS({ 0, SP16 }, { 100, SP24 }, { 150, ASK }, { 400, SP8 }, { 410, NOT });
	assert_int_equal(interpret(&object, IMAGE_CODE + 199), SP16);
	assert_int_equal(interpret(&object, IMAGE_CODE + 200), NOT);
}

/* All of it was in vain if the last one is inside of another. */
static void the_last_function_may_be_inside_of_another(void **state)
{
	(void)state;
	fde(0, 200, OPS(0x0e, 16));
	fde(100, 50, OPS(0x0e, 24));
	CHECK_ROWS({ 0, SP16 }, { 100, SP24 }, { 150, ASK }, { 200, NOT });
}

static void functions_that_begin_at_one_place(void **state)
{
	(void)state;
	fde(0, 200, OPS(0x0e, 16));
	fde(0, 100, OPS(0x0e, 24));
	fde(300, 10, NO_OPS);
	fde(300, 20, OPS(0x0e, 16));
	CHECK_ROWS({ 0, SP24 }, { 100, ASK }, { 300, SP16 }, { 320, NOT });
}

static void empty_functions_cover_nothing(void **state)
{
	(void)state;
	fde(0, 0, OPS(0x0e, 16));
	fde(0, 100, OPS(0x0e, 24));
	fde(100, 0, NO_OPS);
	fde(150, 0, NO_OPS);
	fde(200, 50, NO_OPS);
	fde(225, 0, NO_OPS);
	fde(300, 0, NO_OPS);
	CHECK_ROWS({ 0, SP24 }, { 100, NOT }, { 200, SP8 }, { 225, ASK }, { 300, NOT });
}

static void tables_of_empty_functions_are_refused(void **state)
{
	(void)state;
	fde(0, 0, NO_OPS);
	fde(10, 0, NO_OPS);
	assert_false(compile_image());
	begin(state);
	assert_false(compile_image());
}

/* The header says where it looks, the record what it covers. */
static void a_header_may_say_another_start(void **state)
{
	(void)state;
	fde(0, 10, NO_OPS);
	fde(100, 50, OPS(0x0e, 16));
	image.table[1].start += 20;
	fde(200, 10, NO_OPS);
	fde(300, 10, NO_OPS);
	CHECK_ROWS({ 0, SP8 }, { 10, NOT }, { 120, ASK }, { 200, SP8 }, { 210, ASK }, { 300, SP8 },
		   { 310, NOT });
	assert_int_equal(interpret(&object, IMAGE_CODE + 119), NOT);
	assert_int_equal(interpret(&object, IMAGE_CODE + 120), SP16);
	assert_int_equal(interpret(&object, IMAGE_CODE + 150), NOT);
}

/* It covers what lies behind the next one. */
static void a_function_may_be_far_from_where_the_header_says(void **state)
{
	(void)state;
	fde(400, 50, OPS(0x0e, 16));
	image.table[0].start = CODE;
	fde(100, 10, NO_OPS);
	CHECK_ROWS({ 0, ASK }, { 100, SP8 }, { 110, ASK }, { 450, NOT });
	assert_int_equal(interpret(&object, IMAGE_CODE + 420), SP16);
}

static void a_header_may_name_what_is_no_function(void **state)
{
	(void)state;
	fde(0, 10, NO_OPS);
	fde(100, 10, NO_OPS);
	image.table[1].fde = (int32_t)image.cie;
	fde(200, 10, NO_OPS);
	CHECK_ROWS({ 0, SP8 }, { 10, NOT }, { 100, ASK }, { 200, SP8 }, { 210, NOT });
}

static void a_header_that_is_not_sorted_is_refused(void **state)
{
	(void)state;
	fde(100, 10, NO_OPS);
	fde(0, 10, NO_OPS);
	fde(200, 10, NO_OPS);
	assert_false(compile_image());
}

static void where_a_program_fails_the_interpreter_is_asked(void **state)
{
	(void)state;
	fde(0, 100, OPS(0x44, 0x0e, 16, 0x44, 0x3f, 0x44, 0x0e, 24));
	fde(100, 100, OPS(0x0b));
	fde(200, 10, NO_OPS);
	CHECK_ROWS({ 0, SP8 }, { 4, SP16 }, { 8, ASK }, { 200, SP8 }, { 210, NOT });
}

static void a_program_that_goes_back_is_asked_about(void **state)
{
	uint32_t delta;

	(void)state;
	fde(0, 100, OPS(0x48, 0x0e, 16, 0x01, 0, 0, 0, 0, 0x0e, 24));
	delta = IMAGE_CODE + 4 - (IMAGE_BASE + (uint32_t)image.n - 6);
	memcpy(image.bytes + image.n - 6, &delta, sizeof(delta));
	CHECK_ROWS({ 0, SP8 }, { 8, ASK }, { 100, NOT });
}

static void initial_operations_that_advance_are_asked_about(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, OPS(0x0c, 7, 8, 0x90, 1, 0x44, 0x0e, 16));
	fde(0, 100, OPS(0x44, 0x0e, 24));
	CHECK_ROWS({ 0, ASK }, { 100, NOT });
}

static void a_row_may_be_too_much_for_a_rule(void **state)
{
	(void)state;
	fde(0, 100, OPS(0x44, 0x0c, 3, 24, 0x44, 0x0c, 7, 8));
	fde(100, 100, OPS(0x07, 16));
	CHECK_ROWS({ 0, SP8 }, { 4, ASK }, { 8, SP8 }, { 100, RULES_END }, { 200, NOT });
}

/* Two rows for every five bytes, more than any compiler writes. */
static void more_rows_than_there_is_room_for_are_refused(void **state)
{
	static uint8_t ops[3500];

	(void)state;
	for (size_t i = 0; i + 5 <= sizeof(ops); i += 5)
		memcpy(ops + i, "\x86\2\x41\xc6\x41", 5);
	fde(0, 0x100, (struct ops){ ops, 500 });
	assert_true(compile_image());
	assert_int_equal(rows.count, 201);
	drop();
	begin(state);
	fde(0, 0x1000, (struct ops){ ops, sizeof(ops) });
	assert_false(compile_image());
	/* At the last one, not one too late. */
	for (uint32_t max = 4; max >= 3; max--) {
		begin(state);
		fde(0, 100, OPS(0x44, 0x0e, 16, 0x44, 0x0e, 24));
		image_end(&image);
		object = image_place(&image, image.n, true);
		assert_true(rows_build_begin(&build, &object, IMAGE_BASE));
		build.max = max;
		assert_false(rows_build_go_on(&build, 1));
		assert_int_equal(rows_build_end(&build, &rows, &row_bytes), max == 4);
		if (max == 4)
			drop();
	}
	/* Few rows, but of much code: the index does not fit. */
	begin(state);
	fde(0, 0x1000, OPS(0x0e, 16));
	assert_true(compile_image());
	drop();
	begin(state);
	fde(0, 0x100000, OPS(0x0e, 16));
	assert_false(compile_image());
}

/* A function with an end of 64 bits. */
static void fde_of_size(uint64_t size)
{
	image_begin(&image);
	image.encoding = 0;
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	fde(0, 100, OPS(0x0e, 16));
	memcpy(image.bytes + image.n - 2 - 1 - 8, &size, sizeof(size));
}

static void offsets_are_of_32_bits(void **state)
{
	const uint64_t sizes[] = { UINT64_C(1) << 32, UINT64_C(1) << 33, UINT64_MAX / 2,
				   UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 511,
				   UINT32_MAX - CODE, UINT32_MAX - CODE - 100 };

	(void)state;
	fde_of_size(100);
	CHECK_ROWS({ 0, SP16 }, { 100, NOT });
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		fde_of_size(sizes[i]);
		assert_false(compile_image());
		/* The index would have 8 million words. */
		assert_false(compile(&object, IMAGE_CODE, 1));
	}
	/* The object is above its code, or too far below. */
	fde_of_size(100);
	assert_true(compile_image());
	drop();
	assert_false(compile(&object, IMAGE_CODE + 1, 1));
	assert_false(compile(&object, IMAGE_CODE + 101, 1));
	assert_false(compile(&object, IMAGE_CODE - (UINT64_C(1) << 32), 1));
	assert_false(compile(&object, IMAGE_CODE - (UINT64_C(1) << 32) + 100, 1));
	assert_true(compile(&object, IMAGE_CODE - (UINT64_C(1) << 32) + 101, 1));
	assert_int_equal(rows_find(&rows, (UINT64_C(1) << 32) - 101), SP16);
	assert_int_equal(rows_find(&rows, (UINT64_C(1) << 32) - 1), NOT);
	drop();
}

static void blocks_of_the_index_begin_with_the_first_row(void **state)
{
	(void)state;
	for (uint32_t size = 500; size < 1550; size += size % 512 < 500 && size % 512 > 12 ? 100 : 1) {
		begin(state);
		fde(7, size - 3, OPS(0x0e, 16));
		fde(7 + size - 3, 3, NO_OPS);
		assert_true(compile_image());
		assert_int_equal(compare(&object, IMAGE_BASE, IMAGE_CODE, IMAGE_CODE + size + 600, 1),
				 0);
		drop();
	}
}

/* --- any tables ------------------------------------------------------------------------------ */

static uint64_t random_state;

static uint32_t draw(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* Operations and how often: the failing one is rare. */
static size_t random_ops(uint8_t *to, bool *fails)
{
	static const struct ops kinds[] = {
		{ (const uint8_t *)"\x41", 1 },         { (const uint8_t *)"\x43", 1 },
		{ (const uint8_t *)"\x45", 1 },         { (const uint8_t *)"\x0e\x10", 2 },
		{ (const uint8_t *)"\x0e\x18", 2 },     { (const uint8_t *)"\x86\x02", 2 },
		{ (const uint8_t *)"\xc6", 1 },         { (const uint8_t *)"\x0d\x06", 2 },
		{ (const uint8_t *)"\x0c\x07\x08", 3 }, { (const uint8_t *)"\x0c\x03\x08", 3 },
		{ (const uint8_t *)"\x0a", 1 },         { (const uint8_t *)"\x07\x10", 2 },
		{ (const uint8_t *)"\x0b", 1 },         { (const uint8_t *)"\x3f", 1 },
	};
	size_t n = 0;

	for (uint32_t left = draw(9); left > 0; left--) {
		uint32_t kind = draw(draw(8) == 0 ? COUNT_OF(kinds) : COUNT_OF(kinds) - 4);

		*fails |= kind >= COUNT_OF(kinds) - 4;
		memcpy(to + n, kinds[kind].bytes, kinds[kind].n);
		n += kinds[kind].n;
	}
	return n;
}

/* Functions anywhere; most of the time where a header says, seldom not.  True: as a linker would
 * make them, so nothing need be asked. */
static bool random_image(uint32_t scale, bool *covers)
{
	uint32_t n = 1 + draw(IMAGE_FDES_MAX), at[IMAGE_FDES_MAX], end = 0;
	bool fails = false, odd = false;

	for (uint32_t i = 0; i < n; i++)
		at[i] = draw(40) * scale;
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k > 0 && at[k - 1] > at[k]; k--) {
			uint32_t swap = at[k];

			at[k] = at[k - 1];
			at[k - 1] = swap;
		}
	begin(NULL);
	*covers = false;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = draw(3) == 0 ? draw(24) * scale
			      : i + 1 < n    ? at[i + 1] - at[i]
					     : 2 * scale;
		uint32_t aside = draw(20) == 0 ? draw(7) : 3;
		uint8_t ops[64];

		odd |= aside != 3 || at[i] < end || size == 0;
		end = at[i] + size;
		fde(at[i] + aside - 3, size, (struct ops){ ops, random_ops(ops, &fails) });
		image.table[i].start = (int32_t)(CODE + at[i]);
		if (draw(50) == 0) {
			image.table[i].fde = (int32_t)image.cie;
			odd = true;
		}
		*covers |= size > 0;
	}
	return !fails && !odd;
}

static void rows_of_any_tables_say_what_these_say(void **state)
{
	uint64_t seed = odds_seed();
	unsigned made = 0, clean = 0, refused = 0, asked = 0;

	(void)state;
	random_state = seed;
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t scale = round % 100 == 0 ? 1 + draw(700) : 1;
		bool covers, is_clean = random_image(scale, &covers), has = compile_image();
		long asks = 0;

		if (has)
			asks = compare(&object, IMAGE_BASE, IMAGE_CODE - 9, IMAGE_CODE + 70 * scale, 1);
		else
			for (uint32_t i = 0; i < 70 * scale; i++)
				asks -= interpret(&object, IMAGE_CODE + i) != NOT;
		if (asks < 0 || (is_clean && asks != 0))
			fail_msg("seed %#lx, round %u: %ld", (long)seed, round, asks);
		made += has;
		clean += has && is_clean;
		asked += asks > 0;
		refused += !has && covers;
		if (has)
			drop();
	}
	print_message("%u made, %u of them clean, %u ask; %u refused\n", made, clean, asked, refused);
	/* Of functions that cover something few are refused: none of them is a function. */
	assert_true(made > 15000 && clean > 1000 && asked > 1000 && refused < 1000);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void without_memory_there_are_no_rows(void **state)
{
	uint64_t before = count_get(COUNT_MAP_REFUSED);

	(void)state;
	fde(0, 100, NO_OPS);
	image_end(&image);
	object = image_place(&image, image.n, true);
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	assert_false(rows_build_begin(&build, &object, IMAGE_BASE));
	sys_refuse(0, 0, 0);
	assert_int_equal(count_get(COUNT_MAP_REFUSED), before + 1);
	assert_true(compile_image());
	drop();
}

static void what_is_not_needed_is_given_back(void **state)
{
	uintptr_t room, end;

	(void)state;
	/* 12 KiB of room, 4 of them used. */
	fde(0, 100, OPS(0x0e, 16));
	image_end(&image);
	image.n = 4096;
	object = image_place(&image, image.n, true);
	assert_true(rows_build_begin(&build, &object, IMAGE_BASE));
	room = (uintptr_t)build.room;
	end = room + build.bytes;
	assert_int_equal(build.bytes, 3 * 4096);
	assert_true(os_readable(end - 8));
	assert_false(rows_build_go_on(&build, 1));
	assert_true(rows_build_end(&build, &rows, &row_bytes));
	assert_int_equal((uintptr_t)rows.row, room);
	assert_in_range(row_bytes, 1, 4096);
	assert_true(os_readable(room) && os_readable(room + 4096 - 8));
	assert_false(os_readable(room + 4096) || os_readable(end - 8));
	drop();
	assert_false(os_readable(room));
	/* Refused, or given up: all of it. */
	image.table[0].start++;
	assert_true(rows_build_begin(&build, &object, IMAGE_BASE));
	room = (uintptr_t)build.room;
	build.bad = true;
	assert_false(rows_build_end(&build, &rows, &row_bytes));
	assert_false(os_readable(room) || os_readable(room + 3 * 4096 - 8));
	assert_true(rows_build_begin(&build, &object, IMAGE_BASE));
	room = (uintptr_t)build.room;
	rows_build_drop(&build);
	assert_false(os_readable(room) || os_readable(room + 3 * 4096 - 8));
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_of_all_loaded_objects_say_what_their_tables_say),
		TEST(rows_made_entry_by_entry_are_the_same),
		TEST(functions_side_by_side_and_apart),
		TEST(rows_that_say_the_same_are_one),
		TEST(states_are_remembered),
		TEST(a_program_may_be_longer_than_its_function),
		TEST(of_functions_that_overlap_the_later_one_counts),
		TEST(the_last_function_may_be_inside_of_another),
		TEST(functions_that_begin_at_one_place),
		TEST(empty_functions_cover_nothing),
		TEST(tables_of_empty_functions_are_refused),
		TEST(a_header_may_say_another_start),
		TEST(a_function_may_be_far_from_where_the_header_says),
		TEST(a_header_may_name_what_is_no_function),
		TEST(a_header_that_is_not_sorted_is_refused),
		TEST(where_a_program_fails_the_interpreter_is_asked),
		TEST(a_program_that_goes_back_is_asked_about),
		TEST(initial_operations_that_advance_are_asked_about),
		TEST(a_row_may_be_too_much_for_a_rule),
		TEST(more_rows_than_there_is_room_for_are_refused),
		TEST(offsets_are_of_32_bits),
		TEST(blocks_of_the_index_begin_with_the_first_row),
		TEST(rows_of_any_tables_say_what_these_say),
		TEST(without_memory_there_are_no_rows),
		TEST(what_is_not_needed_is_given_back),
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
