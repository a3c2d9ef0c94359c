#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fuzz/wall.h"
#include "sampler/compiler.h"
#include "sampler/maps.h"

/* Unlike anything that a case wants. */
static const struct maps_line untouched = { .start = 77, .limit = 77, .path = "untouched" };

static long parse(const char *text, size_t len, struct maps_line *out)
{
	*out = untouched;
	return maps_parse_line(wall_copy(text, len), len, out);
}

/* --- good lines ------------------------------------------------------------------------------ */

static const struct {
	const char *says, *text;
	uintptr_t   start, limit;
	const char *flags;              /* as in the line, and d: deleted */
	uint64_t    offset, major, minor, inode;
	const char *path;
} good[] = {
	{ "a library's code", "7f12a4c28000-7f12a4d9d000 r-xp 00028000 fe:01 1835053"
	  "                    /usr/lib/x86_64-linux-gnu/libc.so.6",
	  0x7f12a4c28000, 0x7f12a4d9d000, "r-x", 0x28000, 0xfe, 1, 1835053,
	  "/usr/lib/x86_64-linux-gnu/libc.so.6" },
	{ "an executable without PIE",
	  "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus",
	  0x400000, 0x452000, "r-x", 0, 8, 2, 173521, "/usr/bin/dbus" },
	{ "nothing there", "7f0000000000-7f0000001000 ---p 00000000 00:00 0 ",
	  0x7f0000000000, 0x7f0000001000, "---", 0, 0, 0, 0, "" },
	{ "anonymous, without a blank at the end",
	  "7f0000000000-7f0000001000 rw-p 00000000 00:00 0",
	  0x7f0000000000, 0x7f0000001000, "rw-", 0, 0, 0, 0, "" },
	{ "shared", "7f0000000000-7f0000001000 rw-s 00003000 00:05 1027  /dev/shm/x",
	  0x7f0000000000, 0x7f0000001000, "rw-", 0x3000, 0, 5, 1027, "/dev/shm/x" },
	{ "all rights", "7f0000000000-7f0000001000 rwxp 00000000 00:00 0 [heap]",
	  0x7f0000000000, 0x7f0000001000, "rwx", 0, 0, 0, 0, "[heap]" },
	{ "write only", "1000-2000 -w-p 00000000 00:00 0 ", 0x1000, 0x2000, "-w-", 0, 0, 0, 0, "" },
	{ "the vDSO", "7ffd5a3f2000-7ffd5a3f4000 r-xp 00000000 00:00 0                  [vdso]",
	  0x7ffd5a3f2000, 0x7ffd5a3f4000, "r-x", 0, 0, 0, 0, "[vdso]" },
	{ "the upper half", "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
	  0xffffffffff600000, 0xffffffffff601000, "--x", 0, 0, 0, 0, "[vsyscall]" },
	{ "the largest numbers", "0-ffffffffffffffff r--p ffffffffffffffff 00:ffffffff "
	  "18446744073709551615 x",
	  0, UINTPTR_MAX, "r--", UINT64_MAX, 0, 0xffffffff, UINT64_MAX, "x" },
	{ "leading zeros", "0000000000001000-0000000000002000 r--p 0000000000000000 00:00 "
	  "00000000000000000000000007 x", 0x1000, 0x2000, "r--", 0, 0, 0, 7, "x" },
	{ "a deleted file", "7f0000000000-7f0000001000 r-xp 00000000 fe:01 7 /tmp/x.so (deleted)",
	  0x7f0000000000, 0x7f0000001000, "r-xd", 0, 0xfe, 1, 7, "/tmp/x.so" },
	{ "a file called so", "1000-2000 r-xp 00000000 fe:01 7 /tmp/x (deleted) (deleted)",
	  0x1000, 0x2000, "r-xd", 0, 0xfe, 1, 7, "/tmp/x (deleted)" },
	{ "nearly deleted", "1000-2000 r-xp 00000000 fe:01 7 /tmp/x (deleted",
	  0x1000, 0x2000, "r-x", 0, 0xfe, 1, 7, "/tmp/x (deleted" },
	{ "deleted without a blank", "1000-2000 r-xp 00000000 fe:01 7 /tmp/x(deleted)",
	  0x1000, 0x2000, "r-x", 0, 0xfe, 1, 7, "/tmp/x(deleted)" },
	{ "only that", "1000-2000 r-xp 00000000 fe:01 7  (deleted)",
	  0x1000, 0x2000, "r-x", 0, 0xfe, 1, 7, "(deleted)" },
	{ "memory with a name",
	  "7f0000000000-7f0000001000 rw-s 00000000 00:01 2 /memfd:a b (deleted)",
	  0x7f0000000000, 0x7f0000001000, "rw-d", 0, 0, 1, 2, "/memfd:a b" },
	{ "blanks in the path", "1000-2000 r-xp 00000000 fe:01 7      /opt/my app/lib  x.so ",
	  0x1000, 0x2000, "r-x", 0, 0xfe, 1, 7, "/opt/my app/lib  x.so " },
	{ "an escaped newline and bytes of any kind",
	  "1000-2000 r-xp 00000000 fe:01 7 /a\\012b\t\xff\x01",
	  0x1000, 0x2000, "r-x", 0, 0xfe, 1, 7, "/a\\012b\t\xff\x01" },
	{ "an anonymous mapping with a name", "1000-2000 rw-p 00000000 00:00 0 [anon:jit code]",
	  0x1000, 0x2000, "rw-", 0, 0, 0, 0, "[anon:jit code]" },
};

static const char *difference(size_t i, const struct maps_line *got)
{
	if (got->start != good[i].start || got->limit != good[i].limit)
		return "start and limit";
	if (got->offset != good[i].offset)
		return "offset";
	if (got->dev != (good[i].major << 32 | good[i].minor) || got->inode != good[i].inode)
		return "dev and inode";
	if (got->readable != (strchr(good[i].flags, 'r') != NULL) ||
	    got->writable != (strchr(good[i].flags, 'w') != NULL) ||
	    got->executable != (strchr(good[i].flags, 'x') != NULL))
		return "rights";
	if (got->deleted != (strchr(good[i].flags, 'd') != NULL))
		return "deleted";
	if (got->path_len != strlen(good[i].path) ||
	    memcmp(got->path, good[i].path, got->path_len) != 0)
		return "path";
	return NULL;
}

static void good_lines_say_what_is_mapped(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		char text[512];
		int len = snprintf(text, sizeof(text), "%s\n", good[i].text);
		struct maps_line line;

		if (parse(text, (size_t)len, &line) != len)
			fail_msg("%s: refused", good[i].says);
		if (difference(i, &line) != NULL)
			fail_msg("%s: wrong %s", good[i].says, difference(i, &line));
	}
}

static void what_follows_is_not_looked_at(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		char text[512];
		int len = snprintf(text, sizeof(text), "%s\n", good[i].text);
		int more = snprintf(text + len, sizeof(text) - (size_t)len, "garbage\n\n");
		struct maps_line line;

		assert_int_equal(parse(text, (size_t)(len + more), &line), len);
		assert_null(difference(i, &line));
	}
}

/* --- cut and bad lines ----------------------------------------------------------------------- */

static void without_its_newline_a_line_asks_for_more(void **state)
{
	struct maps_line line;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		for (size_t len = 0; len <= strlen(good[i].text); len++)
			assert_int_equal(parse(good[i].text, len, &line), 0);
}

/* Where the inode begins: up to there nothing may be missing. */
static size_t needed(const char *text)
{
	size_t at = 0;

	for (int blanks = 0; blanks < 4; at++)
		blanks += text[at] == ' ';
	return at + 1;
}

static void a_line_that_ends_too_early_is_refused(void **state)
{
	struct maps_line line;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		for (size_t len = 0; len <= strlen(good[i].text); len++) {
			char text[512];
			long got;

			memcpy(text, good[i].text, len);
			text[len] = '\n';
			got = parse(text, len + 1, &line);
			if (got != (len < needed(good[i].text) ? -1 : (long)len + 1))
				fail_msg("%s, cut at %zu: %ld", good[i].says, len, got);
		}
}

static const struct { const char *says, *text; } bad[] = {
	{ "nothing", "\n" },
	{ "blanks", "    \n" },
	{ "an empty range", "1000-1000 r-xp 00000000 fe:01 7 /x\n" },
	{ "a range backwards", "2000-1000 r-xp 00000000 fe:01 7 /x\n" },
	{ "a blank in front", " 1000-2000 r-xp 00000000 fe:01 7 /x\n" },
	{ "no start", "-2000 r-xp 00000000 fe:01 7 /x\n" },
	{ "no limit", "1000- r-xp 00000000 fe:01 7 /x\n" },
	{ "no dash", "1000 2000 r-xp 00000000 fe:01 7 /x\n" },
	{ "0x", "0x1000-0x2000 r-xp 00000000 fe:01 7 /x\n" },
	{ "capital digits", "A000-B000 r-xp 00000000 fe:01 7 /x\n" },
	{ "no digit", "100g-2000 r-xp 00000000 fe:01 7 /x\n" },
	{ "17 digits", "1000-10000000000000000 r-xp 00000000 fe:01 7 /x\n" },
	{ "a start over 64 bits", "10000000000000000-ffffffffffffffff r-xp 00000000 fe:01 7 /x\n" },
	{ "two blanks", "1000-2000  r-xp 00000000 fe:01 7 /x\n" },
	{ "a tab", "1000-2000\tr-xp 00000000 fe:01 7 /x\n" },
	{ "rights in another order", "1000-2000 xr-p 00000000 fe:01 7 /x\n" },
	{ "rights that there are not", "1000-2000 r-zp 00000000 fe:01 7 /x\n" },
	{ "three rights", "1000-2000 r-x 00000000 fe:01 7 /x\n" },
	{ "five rights", "1000-2000 r-xpp 00000000 fe:01 7 /x\n" },
	{ "no offset", "1000-2000 r-xp  fe:01 7 /x\n" },
	{ "an offset over 64 bits", "1000-2000 r-xp 10000000000000000 fe:01 7 /x\n" },
	{ "no minor number", "1000-2000 r-xp 00000000 fe: 7 /x\n" },
	{ "no major number", "1000-2000 r-xp 00000000 :01 7 /x\n" },
	{ "no colon", "1000-2000 r-xp 00000000 fe01 7 /x\n" },
	{ "an inode in hex", "1000-2000 r-xp 00000000 fe:01 c /x\n" },
	{ "an inode over 64 bits", "1000-2000 r-xp 00000000 fe:01 18446744073709551616 /x\n" },
	{ "an inode below 0", "1000-2000 r-xp 00000000 fe:01 -7 /x\n" },
	{ "another file", "Name:\tcat\n" },
};

static void bad_lines_are_refused(void **state)
{
	struct maps_line line;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (parse(bad[i].text, strlen(bad[i].text), &line) != -1)
			fail_msg("%s: taken", bad[i].says);
}

/* The kernel's own words: each line of it is good, together they are all of it, in order. */
static void the_map_of_this_process_can_be_read(void **state)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	static char text[1 << 20];
	size_t len = fread(text, 1, sizeof(text), maps), at = 0, executable = 0;
	uintptr_t before = 0, here = (uintptr_t)the_map_of_this_process_can_be_read, found = 0;
	struct maps_line line;

	(void)state;
	fclose(maps);
	while (at < len) {
		long n = parse(text + at, len - at, &line);

		assert_true(n > 0);
		assert_true(line.start >= before && line.limit > line.start);
		before = line.limit;
		executable += line.executable;
		if (line.executable && here >= line.start && here < line.limit)
			found = line.path_len;
		at += (size_t)n;
	}
	assert_int_equal(at, len);
	assert_true(executable >= 3);
	assert_int_not_equal(found, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines_say_what_is_mapped),
		cmocka_unit_test(what_follows_is_not_looked_at),
		cmocka_unit_test(without_its_newline_a_line_asks_for_more),
		cmocka_unit_test(a_line_that_ends_too_early_is_refused),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(the_map_of_this_process_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
