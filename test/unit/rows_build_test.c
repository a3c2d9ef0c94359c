/* Rows of tables that are made up say what the interpreter says, or RULES_ASK. */
#include "sampler/rows_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/syscall.h>

#include "fake/sys_refused.h"
#include "sampler/count.h"
#include "sampler/os.h"
#include "test/unit/rows_image.h"

/* Rules, as the tests below name them. */
#define SP8  (RULES_SP | 8)
#define SP16 (RULES_SP | 16)
#define SP24 (RULES_SP | 24)
#define ASK  RULES_ASK

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		TEST(without_memory_there_are_no_rows),
		TEST(what_is_not_needed_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
