/* The golden texts are what Go 1.26's runtime/pprof printed for the same rows and frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "encode/text.h"
#include "sampler/compiler.h"

static char text[8192];

static struct buf empty(void)
{
	memset(text, 0, sizeof(text));
	return buf_bounded(text, sizeof(text) - 1);
}

static void frames_are_aligned_as_go_aligns_them(void **state)
{
	static const struct text_frame frame[] = {
		{ 0x487744, "net/http.(*Transport).send", 0xcc, "/go/transport.go", 938 },
		{ 0x65bfd8, "main.go", 0x8b8, "/go/main.go", 665 },
		{ 0x453674, "runtime.main", 0x2d4, "/go/proc.go", 290 },
	};
	struct buf b = empty();

	(void)state;
	text_frames(&b, frame, COUNT_OF(frame));
	assert_string_equal(text,
			    "#\t0x487744\tnet/http.(*Transport).send+0xcc\t/go/transport.go:938\n"
			    "#\t0x65bfd8\tmain.go+0x8b8\t\t\t/go/main.go:665\n"
			    "#\t0x453674\truntime.main+0x2d4\t\t/go/proc.go:290\n"
			    "\n");
}

/* From text/tabwriter(1, 8, 1, tab) itself. */
static void a_frame_without_a_name_starts_a_new_alignment(void **state)
{
	static const struct text_frame frame[] = {
		{ .address = 0x5f },
		{ 0x1000000000035, "a", 0xf3c, "lib0.so", 0 },
		{ .address = 0x100000051 },
		{ .address = 0x100 },
		{ 0x5, "\xc3\xbc", 0x1, "x", 7 },
		{ 0x80000000000041, "verylongname", 0x22, "y", -7 },
		{ .address = 0x10 },
	};
	struct buf b = empty();

	(void)state;
	text_frames(&b, frame, COUNT_OF(frame));
	assert_string_equal(text, "#\t0x5f\n"
				  "#\t0x1000000000035\ta+0xf3c\tlib0.so:0\n"
				  "#\t0x100000051\n"
				  "#\t0x100\n"
				  "#\t0x5\t\t\t\xc3\xbc+0x1\t\t\tx:7\n"
				  "#\t0x80000000000041\tverylongname+0x22\ty:-7\n"
				  "#\t0x10\n"
				  "\n");
}

/* A cell of 7 needs one tab, a cell of 8 widens the column: one blank is always left. */
static void columns_grow_at_every_eighth_character(void **state)
{
	static const struct {
		const char *name, *lines;
	} cases[] = {
		{ "abc", "#\t0x1\tabc+0x0\tf:1\n#\t0x1\tz+0x0\tf:1\n\n" },
		{ "abcd", "#\t0x1\tabcd+0x0\tf:1\n#\t0x1\tz+0x0\t\tf:1\n\n" },
		{ "abcdefghijk", "#\t0x1\tabcdefghijk+0x0\tf:1\n#\t0x1\tz+0x0\t\tf:1\n\n" },
		{ "abcdefghijkl", "#\t0x1\tabcdefghijkl+0x0\tf:1\n#\t0x1\tz+0x0\t\t\tf:1\n\n" },
		{ "\xe4\xbe\x8b\xe4\xbe\x8b\xe4\xbe\x8b",
		  "#\t0x1\t\xe4\xbe\x8b\xe4\xbe\x8b\xe4\xbe\x8b+0x0\tf:1\n#\t0x1\tz+0x0\tf:1\n\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct text_frame frame[] = {
			{ 1, cases[i].name, 0, "f", 1 },
			{ 1, "z", 0, "f", 1 },
		};
		struct buf b = empty();

		text_frames(&b, frame, COUNT_OF(frame));
		assert_string_equal(text, cases[i].lines);
	}
}

static void no_frames_leave_an_empty_line(void **state)
{
	struct buf b = empty();

	(void)state;
	text_frames(&b, NULL, 0);
	assert_string_equal(text, "\n");
}

static void a_name_cannot_pose_as_a_row(void **state)
{
	static const struct text_frame frame[] = {
		{ 0x10, "evil\n1: 5 [1: 5] @ 0x1\t", 0, "/tmp/\r\n\x7f", 0 },
	};
	struct buf b = empty();

	(void)state;
	text_frames(&b, frame, COUNT_OF(frame));
	assert_string_equal(text, "#\t0x10\tevil?1: 5 [1: 5] @ 0x1?+0x0\t/tmp/???:0\n\n");
}

static void addresses_are_those_after_the_calls(void **state)
{
	static const uint64_t address[] = { 0x401234, 0xfffffffffffffffe, 0 };
	static const struct {
		size_t n;
		const char *row;
	} cases[] = {
		{ 3, " @ 0x401235 0xffffffffffffffff 0x1\n" },
		{ 1, " @ 0x401235\n" },
		{ 0, " @ 0x0\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b = empty();

		text_addresses(&b, address, cases[i].n);
		assert_string_equal(text, cases[i].row);
	}
}

static void the_head_says_the_sums_and_twice_the_rate(void **state)
{
	static const struct {
		struct text_heap total;
		uint64_t rate;
		const char *line;
	} cases[] = {
		{ { 14, 15731264, 19, 15731480 }, 1,
		  "heap profile: 14: 15731264 [19: 15731480] @ heap/2\n" },
		{ { 0, 0, 3, 1536 }, 524288, "heap profile: 0: 0 [3: 1536] @ heap/1048576\n" },
		{ { 2, 64, 2, 64 }, 524288, "heap profile: 2: 64 [2: 65] @ heap/1048576\n" },
		{ { 0, 0, 0, 0 }, 524288, "heap profile: 0: 0 [0: 1] @ heap/1048576\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b = empty();

		text_heap_head(&b, &cases[i].total, cases[i].rate);
		assert_string_equal(text, cases[i].line);
	}
}

static void no_row_has_bytes_of_no_objects(void **state)
{
	static const struct {
		struct text_heap row;
		const char *says;
	} cases[] = {
		{ { 1, 1024, 2, 2048 }, "1: 1024 [2: 2048]" },
		{ { 2, 64, 2, 64 }, "2: 64 [2: 64]" },
		{ { 0, 5, 1, 5 }, "0: 0 [1: 5]" },
		{ { 0, 0, 0, 5 }, "0: 0 [0: 0]" },
		{ { 0, 7, 0, 7 }, "0: 0 [0: 0]" },
		{ { 3, 0, 3, 0 }, "3: 0 [3: 0]" },
		{ { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX },
		  "9223372036854775807: 9223372036854775807 "
		  "[9223372036854775807: 9223372036854775807]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b = empty();

		text_heap_row(&b, &cases[i].row);
		assert_string_equal(text, cases[i].says);
	}
}

static void a_whole_text_is_put_together_as_go_does(void **state)
{
	static const struct text_heap total = { 1, 3145728, 1, 3145728 };
	static const uint64_t address[] = { 0x487772, 0x4a042c };
	static const struct text_frame frame[] = {
		{ 0x4a042c, "bytes.Repeat", 0xac, "/go/bytes.go", 678 },
	};
	static const struct text_stat stat[] = {
		{ "Alloc", "37672472" },
		{ "Stack", "360448 / 360448" },
		{ "DebugGC", "false" },
	};
	struct buf b = empty();

	(void)state;
	text_heap_head(&b, &total, 524288);
	text_heap_row(&b, &total);
	text_addresses(&b, address, COUNT_OF(address));
	text_frames(&b, frame, COUNT_OF(frame));
	text_stats(&b, stat, COUNT_OF(stat));
	assert_string_equal(text, "heap profile: 1: 3145728 [1: 3145729] @ heap/1048576\n"
				  "1: 3145728 [1: 3145728] @ 0x487773 0x4a042d\n"
				  "#\t0x4a042c\tbytes.Repeat+0xac\t/go/bytes.go:678\n"
				  "\n"
				  "\n"
				  "# runtime.MemStats\n"
				  "# Alloc = 37672472\n"
				  "# Stack = 360448 / 360448\n"
				  "# DebugGC = false\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_aligned_as_go_aligns_them),
		cmocka_unit_test(a_frame_without_a_name_starts_a_new_alignment),
		cmocka_unit_test(columns_grow_at_every_eighth_character),
		cmocka_unit_test(no_frames_leave_an_empty_line),
		cmocka_unit_test(a_name_cannot_pose_as_a_row),
		cmocka_unit_test(addresses_are_those_after_the_calls),
		cmocka_unit_test(the_head_says_the_sums_and_twice_the_rate),
		cmocka_unit_test(no_row_has_bytes_of_no_objects),
		cmocka_unit_test(a_whole_text_is_put_together_as_go_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
