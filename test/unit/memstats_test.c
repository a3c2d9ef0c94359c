#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/memstats.h"
#include "sampler/compiler.h"

static const char status[] =
	"Name:\tVmRSS: 9 kB\nState:\tS (sleeping)\nGroups:\t1 2 3 \n"
	"VmPeak:\t 9999 kB\nVmRSS:\t    1964 kB\nRssAnon:\t     148 kB\nRssFile:\t    1816 kB\n"
	"VmStk:\t 132 kB\nVmSwap:\t       7 kB\nThreads:\t1\n";

/* However it is cut by the reads, and whatever stands before. */
static void the_kernels_numbers_are_read(void **state)
{
	static struct memstats_process p;
	static char groups[20000];

	(void)state;
	for (size_t step = 1; step < sizeof(status); step++) {
		memset(&p, 0, sizeof(p));
		for (size_t at = 0; at < sizeof(status) - 1; at += step)
			memstats_parse(&p, status + at, sizeof(status) - 1 - at < step
								? sizeof(status) - 1 - at : step);
		assert_true(p.resident == 1964 << 10 && p.anonymous == 148 << 10);
		assert_true(p.stack == 132 << 10 && p.swapped == 7 << 10);
	}
	memset(groups, '7', sizeof(groups));
	memset(&p, 0, sizeof(p));
	memstats_parse(&p, groups, sizeof(groups));
	memstats_parse(&p, "\nVmRSS:\t1 kB\nVmSwap:\t2 kB", 26);
	assert_true(p.resident == 1024 && p.swapped == 0);
}

/* All that Go prints, in its order. */
static void the_lines_are_gos(void **state)
{
	static const char *const names[] = {
		"Alloc", "TotalAlloc", "Sys", "Lookups", "Mallocs", "Frees", "HeapAlloc", "HeapSys",
		"HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects", "Stack", "MSpan", "MCache",
		"BuckHashSys", "GCSys", "OtherSys", "NextGC", "LastGC", "PauseNs", "PauseEnd",
		"NumGC", "NumForcedGC", "GCCPUFraction", "DebugGC", "MaxRSS",
	};
	static const struct memstats_heap heap = { 90, 3380, 40, 2100 };
	static char text[8192];
	struct buf b = buf_bounded(text, sizeof(text));
	char *line, *save;
	unsigned i = 0;

	(void)state;
	memstats_write(&b, &heap);
	buf_end(&b);
	assert_true(buf_fits(&b));
	assert_memory_equal(text, "\n# runtime.MemStats\n", 20);
	for (line = strtok_r(text + 20, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char want[64];

		assert_true(i < COUNT_OF(names));
		snprintf(want, sizeof(want), "# %s = ", names[i]);
		assert_memory_equal(line, want, strlen(want));
		line += strlen(want);
		if (strncmp(names[i], "Pause", 5) == 0) {
			assert_int_equal(strlen(line), 2 * 256 + 1);
			assert_memory_equal(line, "[0 0 ", 5);
			assert_string_equal(line + 2 * 256 - 4, " 0 0]");
		}
		i++;
	}
	assert_int_equal(i, COUNT_OF(names));
}

static uint64_t value(const char *text, const char *name)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\n# %s = ", name);
	at = strstr(text, line);
	assert_non_null(at);
	return strtoull(at + strlen(line), NULL, 10);
}

static void what_is_known_adds_up(void **state)
{
	static const struct memstats_heap heap = { 90, 3380, 40, 2100 }, huge = { 1, 1ll << 50, 1, 1ll << 50 };
	static char text[8192];
	struct buf b = buf_bounded(text, sizeof(text));

	(void)state;
	memstats_write(&b, &heap);
	buf_end(&b);
	assert_int_equal(value(text, "Alloc"), 2100);
	assert_int_equal(value(text, "HeapAlloc"), 2100);
	assert_int_equal(value(text, "TotalAlloc"), 3380);
	assert_int_equal(value(text, "Mallocs"), 90);
	assert_int_equal(value(text, "Frees"), 50);
	assert_int_equal(value(text, "HeapObjects"), 40);
	assert_true(value(text, "HeapSys") > 4096);
	assert_int_equal(value(text, "HeapIdle") + value(text, "HeapInuse"), value(text, "HeapSys"));
	assert_int_equal(value(text, "HeapSys") + value(text, "OtherSys"), value(text, "Sys"));
	assert_true(value(text, "Stack") >= 4096);
	/* Memory that was never touched is not resident. */
	b = buf_bounded(text, sizeof(text));
	memstats_write(&b, &huge);
	buf_end(&b);
	assert_int_equal(value(text, "HeapIdle"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernels_numbers_are_read),
		cmocka_unit_test(the_lines_are_gos),
		cmocka_unit_test(what_is_known_adds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
