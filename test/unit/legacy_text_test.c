/* The first lines and the rows of gperftools' texts, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "httpd/legacy_text.h"
#include "sampler/compiler.h"

static char bytes[256];
static struct buf b;

static int begin(void **state)
{
	(void)state;
	b = buf_bounded(bytes, sizeof(bytes));
	return 0;
}

static void assert_text(const char *want)
{
	buf_end(&b);
	assert_string_equal(bytes, want);
	b.len = 0;
}

static void the_heaps_first_line_says_how_to_scale(void **state)
{
	static const struct { uint64_t rate; const char *want; } cases[] = {
		{ 524288, "heap profile: 1: 1024 [2: 2048] @ heap_v2/524288\n" },
		{ 2, "heap profile: 1: 1024 [2: 2048] @ heap_v2/2\n" },
		/* All was recorded; or nothing is, any more. */
		{ 1, "heap profile: 1: 1024 [2: 2048] @ heapprofile\n" },
		{ 0, "heap profile: 1: 1024 [2: 2048] @ heapprofile\n" },
	};
	static const struct text_heap total = { 1, 1024, 2, 2048 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		legacy_text_heap(&b, &total, cases[i].rate);
		assert_text(cases[i].want);
		assert_int_equal(legacy_text_is_scaled(cases[i].rate),
				 strstr(cases[i].want, "heap_v2") != NULL);
	}
}

static void it_never_looks_like_two_columns(void **state)
{
	static const struct text_heap same = { 2, 2048, 2, 2048 }, none = { 0, 0, 0, 0 };

	(void)state;
	legacy_text_heap(&b, &same, 524288);
	assert_text("heap profile: 2: 2048 [2: 2049] @ heap_v2/524288\n");
	legacy_text_heap(&b, &none, 524288);
	assert_text("heap profile: 0: 0 [0: 1] @ heap_v2/524288\n");
}

static void growth_is_two_columns(void **state)
{
	static const struct text_heap same = { 2, 2048, 2, 2048 };

	(void)state;
	legacy_text_growth(&b, &same);
	assert_text("heap profile: 2: 2048 [2: 2048] @ growth\n");
}

static void rows_are_values_and_addresses(void **state)
{
	static const struct text_heap row = { 0, 0, 12, 3456 };
	static const uint64_t address[] = { 0x401234, 0x401341 };

	(void)state;
	text_heap_values(&b, &row);
	text_addresses(&b, address, 2);
	assert_text("0: 0 [12: 3456] @ 0x401235 0x401342\n");
}

static void assert_clean(struct text_heap v, struct text_heap want)
{
	bool any = legacy_text_clean(&v);

	assert_memory_equal(&v, &want, sizeof(v));
	assert_int_equal(any, want.inuse_objects != 0 || want.alloc_objects != 0);
}

#define ROW(...) ((struct text_heap){ __VA_ARGS__ })

static void what_readers_stumble_over_is_left_out(void **state)
{
	(void)state;
	assert_clean(ROW(1, 2, 3, 4), ROW(1, 2, 3, 4));
	/* All freed. */
	assert_clean(ROW(0, 0, 3, 4), ROW(0, 0, 3, 4));
	assert_clean(ROW(0, 0, 0, 0), ROW(0, 0, 0, 0));
	/* pprof refuses bytes of no objects. */
	assert_clean(ROW(0, 2, 0, 4), ROW(0, 0, 0, 0));
	/* google-pprof divides by what a size of 0 weighs. */
	assert_clean(ROW(1, 0, 3, 4), ROW(0, 0, 3, 4));
	assert_clean(ROW(1, 0, 3, 0), ROW(0, 0, 0, 0));
	/* No reader knows a sign. */
	assert_clean(ROW(-1, 2, 3, 4), ROW(0, 0, 3, 4));
	assert_clean(ROW(1, -2, 3, 4), ROW(0, 0, 3, 4));
	assert_clean(ROW(1, 2, 3, -4), ROW(1, 2, 0, 0));
}

static void contention_is_in_nanoseconds(void **state)
{
	static const uint64_t address[] = { 0x401234 };

	(void)state;
	legacy_text_contention(&b);
	assert_true(legacy_text_delay(&b, 1500, 2));
	text_addresses(&b, address, 1);
	assert_text("--- contention:\ncycles/second=1000000000\nsampling period=1\n"
		    "1500 2 @ 0x401235\n");
}

static void no_delay_is_divided_by_no_waits(void **state)
{
	(void)state;
	assert_true(legacy_text_delay(&b, 1500, 0));
	assert_text("1500 1");
	assert_true(legacy_text_delay(&b, 1500, -1));
	assert_text("1500 1");
	assert_false(legacy_text_delay(&b, 0, 3));
	assert_false(legacy_text_delay(&b, -1, 3));
	assert_text("");
}

static void a_mapping_is_a_line_of_maps(void **state)
{
	static const struct module app = {
		.start = 0x401000, .limit = 0x405000, .offset = 0x1000,
		.dev = UINT64_C(8) << 32 | 1, .inode = 12345, .path = "/bin/an app",
	}, gone = {
		.start = UINT64_C(0x7f0123456000), .limit = UINT64_C(0x7f0123457000),
		.offset = UINT64_C(0x123456789000), .dev = UINT64_C(0xfd) << 32 | 0x12345,
		.inode = UINT64_MAX, .path = "/lib/a.so", .deleted = true,
	}, vdso = { .start = UINT64_C(0x7ffd00000000), .limit = UINT64_C(0x7ffd00002000),
		    .path = "[vdso]" };

	(void)state;
	legacy_text_mapping(&b, &app);
	assert_text("00401000-00405000 r-xp 00001000 08:01 12345 /bin/an app\n");
	legacy_text_mapping(&b, &gone);
	assert_text("7f0123456000-7f0123457000 r-xp 123456789000 fd:12345 18446744073709551615 "
		    "/lib/a.so (deleted)\n");
	legacy_text_mapping(&b, &vdso);
	assert_text("7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_heaps_first_line_says_how_to_scale, begin),
		cmocka_unit_test_setup(it_never_looks_like_two_columns, begin),
		cmocka_unit_test_setup(growth_is_two_columns, begin),
		cmocka_unit_test_setup(rows_are_values_and_addresses, begin),
		cmocka_unit_test(what_readers_stumble_over_is_left_out),
		cmocka_unit_test_setup(contention_is_in_nanoseconds, begin),
		cmocka_unit_test_setup(no_delay_is_divided_by_no_waits, begin),
		cmocka_unit_test_setup(a_mapping_is_a_line_of_maps, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
