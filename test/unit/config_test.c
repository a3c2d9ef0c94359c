#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "preload/config.h"
#include "sampler/compiler.h"

#define P "PPROFSHIM_"

static struct config config, defaults;
static const char *environment[64];

/* --- the log, as a text ---------------------------------------------------------------------- */

static enum log_level log_max;
static char said[8192];         /* by the last config_read, a line after the other */
static unsigned lines;

void log_init(enum log_level max)
{
	log_max = max;
}

void log_line(enum log_level level, const char *part, ...)
{
	va_list parts;

	if (level > log_max)
		return;
	va_start(parts, part);
	for (; part != NULL; part = va_arg(parts, const char *))
		strncat(said, part, sizeof(said) - strlen(said) - 1);
	va_end(parts);
	strcat(said, "\n");
	lines++;
}

/* Reads these variables. */
static void read_environment(void)
{
	said[0] = '\0';
	lines = 0;
	config_read(&config, (char *const *)(uintptr_t)environment);
}

static void read_one(const char *name, const char *value)
{
	static char variable[2048];

	snprintf(variable, sizeof(variable), P "%s=%s", name, value);
	environment[0] = variable;
	environment[1] = NULL;
	read_environment();
}

/* True if nothing but [at, at + size) differs from the defaults. */
static bool only_differs(size_t at, size_t size)
{
	const char *is = (const char *)&config, *was = (const char *)&defaults;

	for (size_t i = 0; i < sizeof(config); i++)
		if (is[i] != was[i] && (i < at || i >= at + size))
			return false;
	return true;
}

static int begin(void **state)
{
	(void)state;
	config_read(&defaults, NULL);
	return 0;
}

/* --- numbers and choices --------------------------------------------------------------------- */

#define AT(field) offsetof(struct config, field)

static const struct {
	const char *name;
	size_t      at;
	uint64_t    def;
	struct { const char *text; uint64_t value; } good[8];
	const char *bad[12];
} options[] = {
	{ "PORT", AT(port), CONFIG_NO_PORT,
	  { { "0", 0 }, { "6060", 6060 }, { "65535", 65535 }, { "0080", 80 } },
	  { "65536", "-1", "", "http", "6060 ", "60k", "+1", "0x50", "99999999999999999999" } },
	{ "PORT_TRIES", AT(port_tries), 100,
	  { { "1", 1 }, { "10000", 10000 } }, { "0", "10001", "", "many" } },
	{ "CPU_HZ", AT(cpu_hz), 100,
	  { { "0", 0 }, { "1", 1 }, { "1000", 1000 } },
	  { "1001", "fast", "-5", "", "1k", "99.5" } },
	{ "HEAP_RATE", AT(heap_rate), 512 << 10,
	  { { "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "512k", 512 << 10 }, { "2MiB", 2 << 20 },
	    { "1g", 1 << 30 }, { "1024g", UINT64_C(1) << 40 } },
	  { "1025g", "1t", "k", "", "-1", "1 k", "512kk", "20000000000g" } },
	{ "BLOCK_RATE", AT(block_rate), 10000,
	  { { "0", 0 }, { "1", 1 }, { "1ns", 1 }, { "10us", 10000 }, { "5ms", 5000000 },
	    { "3600s", UINT64_C(3600000000000) } },
	  { "3601s", "1m", "us", "", "-1", "1 us", "1.5us", "20000000000s" } },
	{ "MUTEX_FRACTION", AT(mutex_fraction), 1,
	  { { "0", 0 }, { "1", 1 }, { "1000000", 1000000 } }, { "1000001", "", "1k", "-1" } },
	{ "DEPTH", AT(depth), 128,
	  { { "1", 1 }, { "128", 128 }, { "1024", 1024 } }, { "0", "1025", "", "deep" } },
	{ "MEMORY", AT(memory), 64 << 20,
	  { { "1m", 1 << 20 }, { "1048576", 1 << 20 }, { "64g", UINT64_C(1) << 36 } },
	  { "1048575", "0", "65g", "", "much" } },
	{ "UNWINDER", AT(unwinder), CONFIG_UNWINDER_AUTO,
	  { { "auto", CONFIG_UNWINDER_AUTO }, { "fp", CONFIG_UNWINDER_FP },
	    { "libunwind", CONFIG_UNWINDER_LIBUNWIND } },
	  { "dwarf", "", "AUTO", "fp ", "f", "libunwind.so.8" } },
	{ "SYMBOLS", AT(symbols), CONFIG_SYMBOLS_NAMES,
	  { { "none", CONFIG_SYMBOLS_NONE }, { "names", CONFIG_SYMBOLS_NAMES } },
	  { "all", "", "None", "name" } },
	{ "CHILDREN", AT(children), CONFIG_CHILDREN_ALL,
	  { { "all", CONFIG_CHILDREN_ALL }, { "none", CONFIG_CHILDREN_NONE } },
	  { "some", "", "1", "no" } },
	{ "INSECURE", AT(insecure), 0, { { "0", 0 }, { "1", 1 } }, { "", "yes", "2", "01" } },
	{ "LOG", AT(log), LOG_ERROR,
	  { { "quiet", LOG_QUIET }, { "error", LOG_ERROR }, { "info", LOG_INFO },
	    { "debug", LOG_DEBUG } },
	  { "", "loud", "ERROR", "0" } },
};

static uint64_t value_at(const struct config *c, size_t at)
{
	uint64_t value;

	memcpy(&value, (const char *)c + at, sizeof(value));
	return value;
}

static void without_variables_everything_has_its_default(void **state)
{
	static char *const nothing[] = { NULL };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (value_at(&defaults, options[i].at) != options[i].def)
			fail_msg("%s", options[i].name);
	assert_string_equal(defaults.addr, "127.0.0.1:6060");
	assert_string_equal(defaults.only, "");
	assert_string_equal(defaults.skip, "");
	memset(&config, 0xff, sizeof(config));
	config_read(&config, nothing);
	assert_memory_equal(&config, &defaults, sizeof(config));
}

static void good_values_are_taken_and_nothing_else_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		for (size_t k = 0; k < 8 && options[i].good[k].text != NULL; k++) {
			read_one(options[i].name, options[i].good[k].text);
			if (value_at(&config, options[i].at) != options[i].good[k].value)
				fail_msg("%s=%s", options[i].name, options[i].good[k].text);
			assert_true(only_differs(options[i].at, sizeof(uint64_t)));
		}
}

static void a_bad_value_gets_the_default_and_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		for (size_t k = 0; k < 12 && options[i].bad[k] != NULL; k++) {
			char start[256];

			read_one(options[i].name, options[i].bad[k]);
			assert_memory_equal(&config, &defaults, sizeof(config));
			snprintf(start, sizeof(start), P "%s=%s: not allowed; allowed: ",
				 options[i].name, options[i].bad[k]);
			if (lines != 1 || strncmp(said, start, strlen(start)) != 0 ||
			    strstr(said, "; using ") == NULL)
				fail_msg("%s=%s: %s", options[i].name, options[i].bad[k], said);
		}
}

static void good_values_are_nothing_to_talk_about(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		read_one(options[i].name, options[i].good[0].text);
		assert_string_equal(said, "");
		assert_int_equal(log_max, config.log);
	}
}

/* --- texts ----------------------------------------------------------------------------------- */

static void texts_are_taken_up_to_their_bound(void **state)
{
	static const struct { const char *name; size_t at; } texts[] = {
		{ "ADDR", AT(addr) }, { "ONLY", AT(only) }, { "SKIP", AT(skip) },
	};
	char text[CONFIG_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		const char *field = (const char *)&config + texts[i].at;

		read_one(texts[i].name, "a=b,c d");
		assert_string_equal(field, "a=b,c d");
		assert_true(only_differs(texts[i].at, CONFIG_TEXT_MAX));
		read_one(texts[i].name, "");
		assert_string_equal(field, "");
		memset(text, 'x', sizeof(text));
		text[CONFIG_TEXT_MAX - 1] = '\0';
		read_one(texts[i].name, text);
		assert_string_equal(field, text);
		assert_true(only_differs(texts[i].at, CONFIG_TEXT_MAX));
		text[CONFIG_TEXT_MAX - 1] = 'x';
		text[CONFIG_TEXT_MAX] = '\0';
		read_one(texts[i].name, text);
		assert_memory_equal(&config, &defaults, sizeof(config));
		assert_int_equal(lines, 1);
	}
}

/* --- as they are in force -------------------------------------------------------------------- */

static struct config_line line_of(const char *name)
{
	static struct config_line line[CONFIG_OPTIONS_MAX];     /* value may be in it */

	for (size_t i = 0; config_at(&config, i, &line[i]); i++)
		if (strcmp(line[i].name, name) == 0)
			return line[i];
	fail_msg("no %s", name);
	return line[0];
}

static void each_option_is_told_as_it_is_in_force(void **state)
{
	static const struct { const char *name, *set, *told; } cases[] = {
		{ "HEAP_RATE", "65536", "64k" }, { "HEAP_RATE", "1g", "1g" },
		{ "HEAP_RATE", "0", "0" }, { "HEAP_RATE", "1025", "1025" },
		{ "BLOCK_RATE", "1500us", "1500us" }, { "BLOCK_RATE", "2s", "2s" },
		{ "BLOCK_RATE", "1", "1ns" }, { "CPU_HZ", "1000", "1000" },
		{ "LOG", "quiet", "quiet" }, { "ADDR", ":0", ":0" }, { "PORT", "0", "0" },
	};
	struct config_line none;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		read_one(cases[i].name, cases[i].set);
		assert_true(line_of(cases[i].name).is_set);
		assert_false(line_of("DEPTH").is_set);
		if (strcmp(line_of(cases[i].name).value, cases[i].told) != 0)
			fail_msg("%s=%s is told as %s", cases[i].name, cases[i].set,
				 line_of(cases[i].name).value);
	}
	read_one("DEPTH", "0");         /* not allowed */
	assert_false(line_of("DEPTH").is_set);
	assert_string_equal(line_of("DEPTH").value, "128");
	assert_string_equal(line_of("HEAP_RATE").value, "512k");
	assert_string_equal(line_of("BLOCK_RATE").value, "10us");
	assert_string_equal(line_of("PORT").value, "");
	assert_false(config_at(&config, CONFIG_OPTIONS_MAX, &none));
}

static void where_a_secret_is_stays_untold(void **state)
{
	(void)state;
	read_one("TOKEN_FILE", "/secret/place");
	assert_string_equal(line_of("TOKEN_FILE").value, "(not shown)");
	read_one("TOKEN_FILE", "");
	assert_true(line_of("TOKEN_FILE").is_set);
	read_one("LOG", "error");
	assert_string_equal(line_of("TOKEN_FILE").value, "");
}

/* --- names ----------------------------------------------------------------------------------- */

static void an_unknown_name_gets_a_line_with_the_nearest(void **state)
{
	static const struct { const char *name, *nearest; } cases[] = {
		{ "PROT", "PORT" }, { "CPUHZ", "CPU_HZ" }, { "CPU_HERZ", "CPU_HZ" },
		{ "HEAPRATE", "HEAP_RATE" }, { "SYMBOL", "SYMBOLS" }, { "ADDRESS", "ADDR" },
		{ "port", "LOG" }, { "DEPTHS", "DEPTH" }, { "PORT_TRY", "PORT_TRIES" },
		{ "CHILD", "CHILDREN" }, { "SECURE", "INSECURE" }, { "", "LOG" },
		{ "A_NAME_OF_VERY_MANY_LETTERS_LONGER_THAN_ANY_LINE_WOULD_LIKE_IT_TO_BE", "LOG" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char nearest[64];

		read_one(cases[i].name, "1");
		assert_memory_equal(&config, &defaults, sizeof(config));
		snprintf(nearest, sizeof(nearest), "the nearest is " P "%s; ignored",
			 cases[i].nearest);
		if (lines != 1 || strstr(said, nearest) == NULL ||
		    strstr(said, ": no such option; ") == NULL)
			fail_msg("%s: %s", cases[i].name, said);
	}
}

/* Variables of others, and none at all. */
static void what_is_not_ours_is_left_alone(void **state)
{
	static const char *const others[] = { "PATH=/bin", "PPROFSHIM=1", "pprofshim_PORT=1",
					      "XPPROFSHIM_PORT=1", "PPROFSHIM_PORT", "PPROFSHIM_",
					      "", "=", NULL };

	(void)state;
	memcpy(environment, others, sizeof(others));
	read_environment();
	assert_memory_equal(&config, &defaults, sizeof(config));
	assert_string_equal(said, "");
}

static void a_variable_is_not_known_by_its_beginning(void **state)
{
	(void)state;
	read_one("LO", "debug");
	assert_memory_equal(&config, &defaults, sizeof(config));
	read_one("LOGS", "debug");
	assert_memory_equal(&config, &defaults, sizeof(config));
}

static void each_variable_counts_by_itself(void **state)
{
	static const char *const many[] = { P "PORT=7", P "CPU_HZ=bad", "HOME=/", P "DEPTH=9",
					    P "ONLY=x*", P "NOPE=1", P "DEPTH=10", NULL };

	(void)state;
	memcpy(environment, many, sizeof(many));
	read_environment();
	assert_int_equal(config.port, 7);
	assert_int_equal(config.cpu_hz, 100);
	assert_int_equal(config.depth, 10);
	assert_string_equal(config.only, "x*");
	assert_int_equal(lines, 2);
	assert_true(strstr(said, "CPU_HZ") < strstr(said, "NOPE"));
}

/* Wherever it stands, PPROFSHIM_LOG decides about the lines for the others. */
static void the_log_is_set_before_anything_is_said(void **state)
{
	static const char *const quiet[] = { P "CPU_HZ=bad", P "NOPE=1", P "LOG=quiet", NULL };
	static const char *const bad[] = { P "CPU_HZ=bad", P "LOG=nope", NULL };

	(void)state;
	memcpy(environment, quiet, sizeof(quiet));
	read_environment();
	assert_string_equal(said, "");
	memcpy(environment, bad, sizeof(bad));
	read_environment();
	assert_int_equal(lines, 2);
	assert_true(strstr(said, "LOG=nope") < strstr(said, "CPU_HZ=bad"));
}

/* --- globs ----------------------------------------------------------------------------------- */

static void globs_match_whole_names(void **state)
{
	static const struct { const char *globs, *text; bool matches; } cases[] = {
		{ "", "", false }, { "", "a", false }, { "a", "a", true }, { "a", "b", false },
		{ "a", "", false }, { "a", "ab", false }, { "ab", "a", false }, { "*", "", true },
		{ "*", "anything", true }, { "**", "a", true }, { "?", "a", true },
		{ "?", "", false }, { "?", "ab", false }, { "??", "ab", true },
		{ "a*", "a", true }, { "a*", "abc", true },
		{ "a*", "ba", false }, { "*c", "abc", true }, { "*c", "abcd", false },
		{ "a*c", "ac", true }, { "a*c", "abbc", true }, { "a*c", "abcb", false },
		{ "a*b*c", "aXbYc", true }, { "a*b*c", "acb", false }, { "*ab*", "xxaabyy", true },
		{ "*aab", "aaaab", true }, { "a?c", "abc", true }, { "a?c", "ac", false },
		{ "*?", "", false }, { "*?", "a", true }, { "x,a", "a", true },
		{ "x,a", "x", true }, { "x,a", "x,a", false }, { "x,,a", "a", true },
		{ ",", "", true }, { "a,", "", false },
		{ "x,*", "a", true }, { "x*,y*", "yes", true }, { "x*,y*", "no", false },
		{ " a", "a", false }, { "A", "a", false }, { "[ab]", "a", false },
		{ "[ab]", "[ab]", true }, { "\\*", "*", false },
		{ "*a*a*a*a*a*a*a*a*b",
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (config_matches(cases[i].globs, cases[i].text) != cases[i].matches)
			fail_msg("\"%s\" and \"%s\"", cases[i].globs, cases[i].text);
}

static void programs_are_chosen_by_only_and_skip(void **state)
{
	static const struct { const char *only, *skip, *program; bool wanted; } cases[] = {
		{ "", "", "nginx", true }, { "nginx", "", "nginx", true },
		{ "nginx", "", "bash", false }, { "", "bash", "bash", false },
		{ "", "bash", "nginx", true },
		{ "*", "bash,sh", "sh", false }, { "nginx", "nginx", "nginx", false },
		{ "n*", "*x", "node", true }, { "", "*", "nginx", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(config.only, sizeof(config.only), "%s", cases[i].only);
		snprintf(config.skip, sizeof(config.skip), "%s", cases[i].skip);
		if (config_wants(&config, cases[i].program) != cases[i].wanted)
			fail_msg("only \"%s\", skip \"%s\": %s", cases[i].only, cases[i].skip,
				 cases[i].program);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_variables_everything_has_its_default),
		cmocka_unit_test(good_values_are_taken_and_nothing_else_changes),
		cmocka_unit_test(a_bad_value_gets_the_default_and_one_line),
		cmocka_unit_test(good_values_are_nothing_to_talk_about),
		cmocka_unit_test(texts_are_taken_up_to_their_bound),
		cmocka_unit_test(each_option_is_told_as_it_is_in_force),
		cmocka_unit_test(where_a_secret_is_stays_untold),
		cmocka_unit_test(an_unknown_name_gets_a_line_with_the_nearest),
		cmocka_unit_test(what_is_not_ours_is_left_alone),
		cmocka_unit_test(a_variable_is_not_known_by_its_beginning),
		cmocka_unit_test(each_variable_counts_by_itself),
		cmocka_unit_test(the_log_is_set_before_anything_is_said),
		cmocka_unit_test(globs_match_whole_names),
		cmocka_unit_test(programs_are_chosen_by_only_and_skip),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
