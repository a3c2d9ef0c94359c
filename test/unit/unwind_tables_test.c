/* Finding the FDE of a pc: kinds of headers and of records, gaps, and tables that are cut or wrong
 * at every place, with guard pages on both sides. */
#include "sampler/cfi_find.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "test/unit/cfi_image.h"

static struct image image;
static struct cfi_work work;
static struct cfi_record record;

static bool find(uint32_t pc)
{
	struct cfi_object object = image_place(&image, image.n, true);

	return cfi_table_find(&object, pc, &record);
}

/* Three functions, the second behind a gap. */
static void build_three(const char *letters)
{
	image_begin(&image);
	image_cie(&image, letters, 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x10, OPS(0x41, 0x0e, 16));
	image_fde(&image, IMAGE_CODE + 0x20, 0x10, OPS(0x41, 0x0e, 24));
	image_fde(&image, IMAGE_CODE + 0x30, 0x100, OPS(0x41, 0x0e, 32));
	image_end(&image);
}

static void check_three(void)
{
	static const struct { uint32_t at, start; } found[] = {
		{ 0, 0 }, { 0xf, 0 }, { 0x20, 0x20 }, { 0x2f, 0x20 }, { 0x30, 0x30 },
		{ 0x12f, 0x30 },
	};

	for (size_t i = 0; i < COUNT_OF(found); i++) {
		assert_true(find(IMAGE_CODE + found[i].at));
		assert_int_equal(record.start, IMAGE_CODE + found[i].start);
	}
	assert_false(find(IMAGE_CODE - 1));
	assert_false(find(IMAGE_CODE + 0x10));
	assert_false(find(IMAGE_CODE + 0x1f));
	assert_false(find(IMAGE_CODE + 0x130));
	assert_false(find(0));
}

static void each_pc_has_the_function_around_it_or_none(void **state)
{
	(void)state;
	build_three("zR");
	check_three();
}

static void a_pc_far_from_the_object_is_not_found(void **state)
{
	struct cfi_object object;

	(void)state;
	build_three("zR");
	object = image_place(&image, image.n, true);
	assert_false(cfi_table_find(&object, UINT64_C(0x7fff00000000), &record));
	assert_false(cfi_table_find(&object, IMAGE_CODE + (UINT64_C(1) << 32), &record));
	assert_false(cfi_table_find(&object, UINTPTR_MAX, &record));
}

static void every_usual_augmentation_is_read(void **state)
{
	static const char *const letters[] = { "zR", "zPLR", "zRS", "zRSP", "zPR", "zLR", "zPLRS" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(letters); i++) {
		build_three(letters[i]);
		check_three();
		assert_true(find(IMAGE_CODE));
		assert_int_equal(record.signal_frame, strchr(letters[i], 'S') != NULL);
	}
}

static void addresses_without_an_encoding_are_absolute(void **state)
{
	static const char *const letters[] = { "", "zS", "z" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(letters); i++) {
		image_begin(&image);
		image.encoding = 0;
		image_cie(&image, letters[i], 1, 0x78, ENTRY_OPS);
		image_fde(&image, IMAGE_CODE, 0x10, NO_OPS);
		image_end(&image);
		assert_true(find(IMAGE_CODE + 0xf));
		assert_int_equal(record.start, IMAGE_CODE);
		assert_int_equal(record.signal_frame, strchr(letters[i], 'S') != NULL);
	}
}

static void unknown_augmentations_are_refused(void **state)
{
	static const char *const letters[] = { "eh", "zQ", "zRRRRRRRR", "R" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(letters); i++) {
		build_three(letters[i]);
		assert_false(find(IMAGE_CODE));
	}
}

static void each_function_has_its_own_cie(void **state)
{
	struct cfi_object object;

	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x10, NO_OPS);
	image_cie(&image, "zRS", 2, 0x7c, OPS(0x0c, 6, 99));
	image_fde(&image, IMAGE_CODE + 0x10, 0x10, NO_OPS);
	image_end(&image);
	object = image_place(&image, image.n, false);
	assert_true(cfi_find_row(&object, IMAGE_CODE, &work));
	assert_int_equal(work.row.cfa_offset, 8);
	assert_false(work.row.signal_frame);
	assert_true(cfi_find_row(&object, IMAGE_CODE + 0x10, &work));
	assert_int_equal(work.row.cfa_offset, 99);
	assert_int_equal(work.row.cfa_reg, 6);
	assert_true(work.row.signal_frame);
	assert_int_equal(work.row.ruled, 0);
}

static void an_empty_function_does_not_hide_the_one_before(void **state)
{
	(void)state;
	image_begin(&image);
	image_cie(&image, "zR", 1, 0x78, ENTRY_OPS);
	image_fde(&image, IMAGE_CODE, 0x40, NO_OPS);
	image_fde(&image, IMAGE_CODE + 0x10, 0, NO_OPS);
	image_end(&image);
	assert_true(find(IMAGE_CODE + 0x10));
	assert_int_equal(record.start, IMAGE_CODE);
}

static void without_a_table_the_records_are_read_in_turn(void **state)
{
	(void)state;
	build_three("zR");
	image.bytes[2] = image.bytes[3] = 0xff;
	check_three();
	build_three("zR");
	image.bytes[3] = 0x1b;          /* a kind of table that is not searched */
	check_three();
}

static void a_count_of_another_kind_is_read(void **state)
{
	(void)state;
	build_three("zR");
	image.bytes[2] = 0x0b;
	check_three();
}

static void bad_headers_are_refused(void **state)
{
	struct cfi_object object;

	(void)state;
	build_three("zR");
	image.bytes[0] = 2;
	assert_false(find(IMAGE_CODE));
	build_three("zR");
	image.bytes[1] = 0xff;          /* no .eh_frame */
	assert_false(find(IMAGE_CODE));
	build_three("zR");
	image.bytes[3] = 0xff;
	memset(image.bytes + 4, 0x7f, 4);       /* .eh_frame is somewhere else */
	assert_false(find(IMAGE_CODE));
	build_three("zR");
	object = image_place(&image, image.n, false);
	object.hdr = object.lo - 1;
	assert_false(cfi_table_find(&object, IMAGE_CODE, &record));
	object.hdr = object.hi + 1;
	assert_false(cfi_table_find(&object, IMAGE_CODE, &record));
}

static void a_count_that_is_too_large_is_cut(void **state)
{
	(void)state;
	build_three("zR");
	memset(image.bytes + 8, 0xff, 4);
	find(IMAGE_CODE);
	find(IMAGE_CODE + 0x12f);
}

static void entries_that_lead_outside_are_refused(void **state)
{
	static const int32_t outside[] = { -1, -4096, INT32_MIN, INT32_MAX, IMAGE_MAX, 0, 5 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(outside); i++) {
		build_three("zR");
		memcpy(image.bytes + 16, &outside[i], 4);
		assert_false(find(IMAGE_CODE));
	}
}

/* A row of every part of the image, from as many bytes as there are. */
static void look_everywhere(const struct cfi_object *object)
{
	static const uint32_t at[] = { 0, 1, 0xf, 0x20, 0x21, 0x30, 0x31, 0x12f };

	for (size_t i = 0; i < COUNT_OF(at); i++)
		cfi_find_row(object, IMAGE_CODE + at[i], &work);
}

static void tables_cut_at_any_length_are_read_no_further(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++) {
		build_three("zPLR");
		if (kind == 1)
			image.bytes[2] = image.bytes[3] = 0xff;
		for (size_t n = 0; n <= image.n; n++) {
			struct cfi_object object = image_place(&image, n, true);

			look_everywhere(&object);
			/* The other side: what is below lo is not ours to read. */
			object = image_place(&image, image.n, false);
			object.lo += n;
			look_everywhere(&object);
		}
	}
}

static void one_wrong_byte_does_no_harm(void **state)
{
	static const uint8_t wrong[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0x0f, 0x10, 0x16 };

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		for (size_t k = 0; k < COUNT_OF(wrong); k++) {
			struct cfi_object object;

			build_three("zPLRS");
			if (i >= image.n)
				return;
			image.bytes[i] = wrong[k];
			object = image_place(&image, image.n, true);
			look_everywhere(&object);
			object = image_place(&image, image.n, false);
			look_everywhere(&object);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pc_has_the_function_around_it_or_none),
		cmocka_unit_test(a_pc_far_from_the_object_is_not_found),
		cmocka_unit_test(every_usual_augmentation_is_read),
		cmocka_unit_test(addresses_without_an_encoding_are_absolute),
		cmocka_unit_test(unknown_augmentations_are_refused),
		cmocka_unit_test(each_function_has_its_own_cie),
		cmocka_unit_test(an_empty_function_does_not_hide_the_one_before),
		cmocka_unit_test(without_a_table_the_records_are_read_in_turn),
		cmocka_unit_test(a_count_of_another_kind_is_read),
		cmocka_unit_test(bad_headers_are_refused),
		cmocka_unit_test(a_count_that_is_too_large_is_cut),
		cmocka_unit_test(entries_that_lead_outside_are_refused),
		cmocka_unit_test(tables_cut_at_any_length_are_read_no_further),
		cmocka_unit_test(one_wrong_byte_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
