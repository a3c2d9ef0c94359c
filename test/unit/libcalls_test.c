#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "encode/libcalls.h"
#include "fuzz/wall.h"
#include "sampler/compiler.h"

static jmp_buf out;

static void leave(void)
{
	longjmp(out, 1);
}

static void there_is_no_heap(void **state)
{
	char byte;

	(void)state;
	assert_null(libcalls_malloc(1));
	assert_null(libcalls_calloc(1, 1));
	assert_null(libcalls_realloc(NULL, 1));
	assert_null(libcalls_realloc(&byte, 1));
	libcalls_free(NULL);
	libcalls_free(&byte);
}

static void every_abort_goes_where_the_thread_s_owner_says(void **state)
{
	volatile int way = 0;

	(void)state;
	libcalls_end_thread = leave;
	if (setjmp(out) == 0)
		libcalls_abort();
	way |= 1;
	if (way == 1 && setjmp(out) == 0)
		libcalls_assert_fail("1 == 2", "protobuf-c.c", 1, "pack");
	way |= 2;
	if (way == 3 && setjmp(out) == 0)
		libcalls_stack_chk_fail();
	way |= 4;
	assert_int_equal(way, 7);
	libcalls_end_thread = NULL;
}

static void numbers_are_written_as_libc_writes_them(void **state)
{
	static const long values[] = { 0, 1, -1, 9, 10, 255, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN };
	char ours[64], libcs[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		long v = values[i];

		assert_int_equal(libcalls_sprintf(ours, "%d", (int)v),
				 snprintf(libcs, sizeof(libcs), "%d", (int)v));
		assert_string_equal(ours, libcs);
		assert_int_equal(libcalls_sprintf_chk(ours, 1, 64, "a%lub%ldc", v, v),
				 snprintf(libcs, sizeof(libcs), "a%lub%ldc", v, v));
		assert_string_equal(ours, libcs);
		assert_int_equal(libcalls_snprintf(ours, 64, "%lx%x%u", v, (int)v, (int)v),
				 snprintf(libcs, sizeof(libcs), "%lx%x%u", v, (int)v, (int)v));
		assert_string_equal(ours, libcs);
	}
}

static void a_text_too_long_is_cut_and_its_length_told(void **state)
{
	(void)state;
	for (size_t size = 1; size < 16; size++) {
		char want[16] = "x12345678y";
		char *room = wall_room(size);

		want[size < 11 ? size - 1 : 10] = 0;
		assert_int_equal(libcalls_snprintf(room, size, "x%dy", 12345678), 10);
		assert_string_equal(room, want);
		room = wall_room(size);
		assert_int_equal(libcalls_snprintf_chk(room, 100, 1, size, "x%dy", 12345678), 10);
		assert_string_equal(room, want);
		room = wall_room(size);
		assert_int_equal(libcalls_snprintf_chk(room, size, 1, 100, "x%dy", 12345678), 10);
		assert_string_equal(room, want);
		room = wall_room(size);
		assert_int_equal(libcalls_sprintf_chk(room, 1, size, "x%dy", 12345678), 10);
		assert_string_equal(room, want);
	}
	assert_int_equal(libcalls_snprintf(wall_room(0), 0, "%d", 7), 1);
}

static void sprintf_writes_no_more_than_its_bound(void **state)
{
	char *room = wall_room(LIBCALLS_SPRINTF_MAX);

	(void)state;
	assert_int_equal(libcalls_sprintf(room, "a long text and %d", 5), 17);
	assert_string_equal(room, "a long text");
}

static void a_conversion_that_is_not_known_ends_the_text(void **state)
{
	static const char *const formats[] = { "a%s", "a%5d", "a%", "a%l", "a%lld", "a%p", "a%%" };
	char text[16];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(formats); i++) {
		assert_int_equal(libcalls_snprintf(text, sizeof(text), formats[i], 1), 1);
		assert_string_equal(text, "a");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_no_heap),
		cmocka_unit_test(every_abort_goes_where_the_thread_s_owner_says),
		cmocka_unit_test(numbers_are_written_as_libc_writes_them),
		cmocka_unit_test(a_text_too_long_is_cut_and_its_length_told),
		cmocka_unit_test(sprintf_writes_no_more_than_its_bound),
		cmocka_unit_test(a_conversion_that_is_not_known_ends_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
