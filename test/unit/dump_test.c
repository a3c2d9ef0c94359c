#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "httpd/dump.h"
#include "sampler/compiler.h"

static struct dump dump;
static struct dump_row rows[8];
static unsigned seen;

static void keep(void *with, const struct dump_row *row)
{
	(void)with;
	assert_true(seen < COUNT_OF(rows));
	rows[seen++] = *row;
}

static void read_in(const char *text, size_t n, size_t step)
{
	memset(&dump, 0, sizeof(dump));
	dump.row = keep;
	seen = 0;
	for (size_t at = 0; at < n; at += step)
		dump_feed(&dump, text + at, n - at < step ? n - at : step);
}

static void read_text(const char *text)
{
	read_in(text, strlen(text), strlen(text));
}

#define HEAD "heap_v2/524288\n  t*: 3: 9 [0: 0]\n  t0: 3: 9 [0: 0]\n"
#define TAIL "\nMAPPED_LIBRARIES:\n55aea2986000-55aea298e000 r--p 00000000 fe:00 1  /a\n"

static const char good[] =
	HEAD "@ 0x55aea2a22460 0x1000\n  t*: 98: 235032 [0: 0]\n  t0: 90: 1 [0: 0]\n  t1: 8: 1 [0: 0]\n"
	"@ 0x7\n  t*: 2: 4000000 [5: 9000000]\n  t0: 2: 4000000 [5: 9000000]\n" TAIL
	"@ 0x9\n  t*: 1: 1 [1: 1]\n";

/* What a sample of this size stands for, by libm. */
static double weight(double bytes)
{
	return 1 / -expm1(-bytes / 524288);
}

static void assert_near(int64_t got, double want)
{
	if (fabs((double)got - want) > 1 + want * 0.001)
		fail_msg("%lld is not %f", (long long)got, want);
}

/* However it is cut by the reads. */
static void rows_are_what_was_there(void **state)
{
	(void)state;
	for (size_t step = 1; step < sizeof(good); step++) {
		read_in(good, sizeof(good) - 1, step);
		assert_true(dump.whole && dump.rate == 524288);
		assert_int_equal(seen, 2);
		assert_true(rows[0].depth == 2 && rows[0].frame[0] == 0x55aea2a2245f &&
			    rows[0].frame[1] == 0xfff);
		assert_near(rows[0].inuse_objects, 98 * weight(235032 / 98.0));
		assert_near(rows[0].inuse_bytes, 235032 * weight(235032 / 98.0));
		/* Nothing was accumulated: at least what is in use. */
		assert_true(rows[0].alloc_objects == rows[0].inuse_objects &&
			    rows[0].alloc_bytes == rows[0].inuse_bytes);
		assert_true(rows[1].depth == 1 && rows[1].frame[0] == 6);
		assert_near(rows[1].inuse_bytes, 4000000 * weight(2000000));
		assert_near(rows[1].alloc_objects, 5 * weight(1800000));
		assert_near(rows[1].alloc_bytes, 9000000 * weight(1800000));
	}
}

static void what_is_no_dump_has_no_rows(void **state)
{
	static const char *const bad[] = {
		"", "\n", "heap_v2/\n@ 0x7\n  t*: 1: 1 [0: 0]\n" TAIL, "heap_v2/0\n" TAIL,
		"heap_v2/99999999999999999999\n" TAIL, "heap profile: 1: 2 [3: 4] @ heapprofile\n" TAIL,
		" heap_v2/524288\n@ 0x7\n  t*: 1: 1 [0: 0]\n" TAIL,
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		read_text(bad[i]);
		assert_true(seen == 0 && dump.rate == 0 && !dump.whole);
	}
}

/* Lines that are wrong are passed over, and what follows is read. */
static void bad_lines_are_passed_over(void **state)
{
	static const char *const bad[] = {
		"@\n  t*: 1: 1 [0: 0]\n", "@ 7\n  t*: 1: 1 [0: 0]\n", "@ 0x\n  t*: 1: 1 [0: 0]\n",
		"@ 0x8\n  t*: 0: 0 [0: 0]\n", "@ 0x8\n  t*: 1: 0 [0: 0]\n", "@ 0x8\n  t*: 9: 8 [0: 0]\n",
		"@ 0x8\n  t*: 1: 1\n", "@ 0x8\n  t*: 1: 1 [1: 1\n", "@ 0x8\n  t*: -1: 1 [0: 0]\n",
		"@ 0x8\n  t*: 999999999999999999999: 1 [0: 0]\n", "@ 0x8\n@ 0x0\n  t*: 1: 1 [0: 0]\n",
		"  t*: 1: 1 [0: 0]\n", "@ 0x8\n  t0: 1: 1 [0: 0]\n", "\n\n@\n",
	};
	char text[512];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++) {
		snprintf(text, sizeof(text), HEAD "%s@ 0x11\n  t*: 1: 500000 [0: 0]\n" TAIL, bad[i]);
		read_text(text);
		assert_true(dump.whole);
		if (seen != 1 || rows[0].frame[0] != 0x10)
			fail_msg("%u rows after %s", seen, bad[i]);
	}
}

static void bounds_hold(void **state)
{
	static char text[64 << 10];
	size_t n = (size_t)snprintf(text, sizeof(text), HEAD "@");

	(void)state;
	/* A stack that is deeper than any. */
	for (unsigned i = 0; i < DUMP_FRAMES_MAX + 20; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " 0x%x", i + 2);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\n  t*: 1: 500000 [0: 0]\n@");
	/* A line that is longer. */
	for (unsigned i = 0; i < DUMP_LINE_MAX / 4; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " 0x5");
	n += (size_t)snprintf(text + n, sizeof(text) - n,
			      "\n  t*: 1: 1 [0: 0]\n@ 0x11\n  t*: 72057594037927936: "
			      "72057594037927936 [0: 0]\n" TAIL);
	for (size_t step = 1; step < 9000; step += 97) {
		read_in(text, n, step);
		assert_true(dump.whole);
		assert_int_equal(seen, 2);
		assert_int_equal(rows[0].depth, DUMP_FRAMES_MAX);
		assert_int_equal(rows[0].frame[DUMP_FRAMES_MAX - 1], DUMP_FRAMES_MAX);
		assert_true(rows[1].frame[0] == 0x10 && rows[1].inuse_bytes > 0);
	}
	/* Without an end it is not whole. */
	read_text(HEAD "@ 0x11\n  t*: 1: 500000 [0: 0]\n\nMAPPED_LIBRARIES:");
	assert_true(seen == 1 && !dump.whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_what_was_there),
		cmocka_unit_test(what_is_no_dump_has_no_rows),
		cmocka_unit_test(bad_lines_are_passed_over),
		cmocka_unit_test(bounds_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
