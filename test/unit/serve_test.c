/* What is not a profile as a file: texts, the index, config, symbol, cmdline, and what is not
 * there. */
#include "fake/asked.h"

#include "fake/made_program.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/sample.h"

#define ONE   ((uint64_t)RANDOM_WEIGHT_ONE)
#define PLAIN "text/plain; charset=utf-8"
#define JSON  "application/json"
#define FORM  "application/x-www-form-urlencoded"

static int begin(void **state)
{
	(void)state;
	make_program();
	asked.desk.names = true;
	return 0;
}

static int end(void **state)
{
	(void)state;
	asked_forget();
	drop_program();
	return map_fail.live_bytes != 0;
}

/* --- the heap as a text ---------------------------------------------------------------------- */

static void add_heap(uint32_t stack, uint32_t size, uint64_t allocated, uint64_t freed,
		     uint64_t each)
{
	struct made_row *r = made_add(GROUND_HEAP, stack, size, 1);

	r->value[HEAP_ALLOC_RAW] = allocated;
	r->value[HEAP_ALLOC_RAW_BYTES] = allocated * each;
	r->value[HEAP_FREE_RAW] = freed;
	r->value[HEAP_FREE_RAW_BYTES] = freed * each;
	/* Each sampled one stands for ten. */
	r->value[HEAP_ALLOC_OBJECTS] = 10 * allocated * ONE;
	r->value[HEAP_ALLOC_BYTES] = 10 * allocated * each;
	r->value[HEAP_FREE_OBJECTS] = 10 * freed * ONE;
	r->value[HEAP_FREE_BYTES] = 10 * freed * each;
}

static void add_two_stacks(void)
{
	frame_t first[] = { library_frame(LIBRARY_MALLOC), program_frame(PROGRAM_WORK),
			    program_frame(PROGRAM_MAIN) };
	frame_t second[] = { program_frame(PROGRAM_MAIN), FRAME_TRUNCATED };

	add_heap(made_stack(first, 3), 48, 5, 2, 40);
	add_heap(made.stacks, 96, 1, 0, 90);
	add_heap(made_stack(second, 2), 16, 3, 3, 16);
}

static void debug_1_is_gos_text_of_what_was_sampled(void **state)
{
	char want[2048];

	(void)state;
	add_two_stacks();
	snprintf(want, sizeof(want),
		 "heap profile: 4: 210 [9: 338] @ heap/1048576\n"
		 "3: 120 [5: 200] @ 0x555500000016 0x555500000006\n"
		 "#\t0x555500000015\twork+0x5\t%s:0\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n\n"
		 "1: 90 [1: 90] @ 0x555500000016 0x555500000006\n"
		 "#\t0x555500000015\twork+0x5\t%s:0\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n\n"
		 "0: 0 [3: 48] @ 0x555500000006 0x2\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n"
		 "#\t0x1\t\t[truncated]+0x0\t?:0\n\n",
		 program_path, program_path, program_path, program_path, program_path);
	assert_int_equal(ask("/debug/pprof/heap?debug=1"), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_null(asked.x.reply.filename);
	assert_true(asked.len > strlen(want));
	asked.body[strlen(want)] = '\0';
	assert_string_equal(asked.body, want);
	assert_int_equal(made.refreshes, 1);
}

static void the_text_ends_with_what_is_known_of_memory(void **state)
{
	static const char *const lines[] = {
		"\n# runtime.MemStats\n", "\n# Alloc = 2100\n", "\n# TotalAlloc = 3380\n",
		"\n# Mallocs = 90\n", "\n# Frees = 50\n", "\n# HeapAlloc = 2100\n",
		"\n# HeapObjects = 40\n", "\n# MaxRSS = ",
	};
	const char *max;

	(void)state;
	add_two_stacks();
	assert_int_equal(ask("/debug/pprof/allocs?debug=2"), 200);
	for (size_t i = 0; i < COUNT_OF(lines); i++)
		if (strstr(asked.body, lines[i]) == NULL)
			fail_msg("no %s", lines[i]);
	max = strstr(asked.body, "# MaxRSS = ") + 11;
	assert_in_range(strtoull(max, NULL, 10), 100 << 10, 1ull << 40);
	assert_string_equal(asked.body + asked.len - 1, "\n");
}

/* At most 40 s: a machine may have been started a minute ago. */
static void old(uint32_t row, uint64_t size, uint64_t age_s)
{
	made_live(row, size, RANDOM_WEIGHT_ONE, os_monotonic_ns() - age_s * 1000000000 - 500000000);
}

/* Behind the addresses, as Go's labels: readers leave it out. */
static void the_text_says_how_old_the_blocks_of_a_row_are(void **state)
{
	static const char line[] = "\n# ages: youngest 2s, median 30s, oldest 40s\n#\t0x";
	const char *at;

	(void)state;
	add_two_stacks();
	old(1, 40, 40);
	old(1, 40, 30);
	old(1, 40, 2);
	assert_int_equal(ask("/debug/pprof/heap?debug=1"), 200);
	at = strstr(asked.body, line);
	assert_non_null(at);
	assert_null(strstr(at + 3, "# ages"));
	/* Of old ones alone; what is said of all memory stays. */
	assert_int_equal(ask("/debug/pprof/heap?debug=1&min_age=20"), 200);
	assert_non_null(strstr(asked.body, "\n# ages: youngest 30s, median 30s, oldest 40s\n"));
	assert_non_null(strstr(asked.body, "\n# TotalAlloc = 3380\n"));
}

static void without_names_the_text_has_addresses(void **state)
{
	(void)state;
	asked.desk.names = false;
	add_two_stacks();
	assert_int_equal(ask("/debug/pprof/heap?debug=1"), 200);
	assert_non_null(strstr(asked.body, "\n#\t0x555500000015\n"));
	assert_null(strstr(asked.body, "work"));
}

static void a_text_without_rows_is_a_text(void **state)
{
	(void)state;
	assert_int_equal(ask("/debug/pprof/heap?debug=1"), 200);
	assert_memory_equal(asked.body, "heap profile: 0: 0 [0: 1] @ heap/1048576\n\n# runtime",
			    51);
}

/* --- the index ------------------------------------------------------------------------------- */

static void counted(enum ground_profile profile, uint32_t stack, uint32_t size, uint16_t thread)
{
	made_add(profile, stack, size, thread)->value[0] = 1;
}

/* Of the heap each stack with each size, of locks each stack. */
static void the_index_has_every_route_and_its_count(void **state)
{
	char link[256];
	unsigned listed = 0;

	(void)state;
	for (unsigned i = 1; i <= 2; i++) {
		counted(GROUND_HEAP, 1, 16 * i, 0);
		counted(GROUND_HEAP, 2, 16 * i, 0);
		counted(GROUND_HEAP, 2, 16 * i, 3);
		counted(GROUND_BLOCK, 1, i, 0);
	}
	made_add(GROUND_HEAP, 7, 0, 0);         /* nothing was counted there */
	counted(GROUND_WALL, 1, 0, 0);
	assert_int_equal(ask("/debug/pprof/"), 200);
	assert_string_equal(asked.x.reply.content_type, "text/html; charset=utf-8");
	for (size_t i = 0; routes_at(i) != NULL; i++) {
		const struct route *r = routes_at(i);
		int rows = r->profile == GROUND_HEAP ? 4 : r->profile == GROUND_BLOCK ? 1
			   : r->profile == GROUND_WALL ? 1 : 0;

		if (r->help == NULL)
			continue;
		listed++;
		snprintf(link, sizeof(link),
			 "<tr><td>%d</td><td><a href='%s?debug=1'>%s</a></td></tr>",
			 rows, r->name, r->name);
		if (strstr(asked.body, link) == NULL)
			fail_msg("%s is not listed", r->name);
		assert_non_null(strstr(asked.body, r->help));
	}
	assert_true(listed >= 6);
}

static void the_index_says_what_was_given_up(void **state)
{
	(void)state;
	assert_int_equal(ask("/debug/pprof/"), 200);
	assert_non_null(strstr(asked.body, "<li>nothing</li>"));
	made.dropped[COUNT_HEAP_NO_ROOM] = 17;
	assert_int_equal(ask("/debug/pprof/"), 200);
	assert_null(strstr(asked.body, "<li>nothing</li>"));
	assert_non_null(strstr(asked.body, "<li>heap_no_room 17: "));
}

static void the_index_says_the_rates_and_what_is_off(void **state)
{
	(void)state;
	assert_int_equal(ask("/debug/pprof/"), 200);
	assert_non_null(strstr(asked.body, "cpu_hz 100, heap_rate 524288, block_rate 10000, "
						  "mutex_fraction 1<"));
	assert_non_null(strstr(asked.body, "<li>all is on</li>"));
	made.rates = (struct ground_rates){ 0, 0, 0, 0 };
	assert_int_equal(ask("/debug/pprof/"), 200);
	assert_non_null(strstr(asked.body, "cpu_hz 0 (off), heap_rate 0 (off), block_rate 0 (off), "
						  "mutex_fraction 0 (off)<"));
	assert_null(strstr(asked.body, "<li>all is on</li>"));
	assert_non_null(strstr(asked.body, "<li>mutex: mutex_fraction is 0</li>"));
}

static void the_index_says_the_options(void **state)
{
	static const struct desk_option options[] = {
		{ "ONLY", "<a&b>", true }, { "DEPTH", "128", false },
	};

	(void)state;
	asked.desk.option = options;
	asked.desk.options = 2;
	assert_int_equal(ask("/debug/pprof/"), 200);
	asked.desk.options = 0;
	assert_non_null(strstr(asked.body, "<td>PPROFSHIM_ONLY</td><td>&lt;a&amp;b&gt;</td><td>set<"));
	assert_non_null(strstr(asked.body, "<td>PPROFSHIM_DEPTH</td><td>128</td><td>default<"));
}

/* --- metrics --------------------------------------------------------------------------------- */

static bool has_line(const char *line)
{
	char with_ends[160];

	snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
	return strstr(asked.body, with_ends) != NULL;
}

static void metrics_say_what_was_counted(void **state)
{
	(void)state;
	made_add(GROUND_CPU, 1, 0, 0)->value[CPU_SAMPLES] = 5;
	made_add(GROUND_CPU, 2, 0, 0)->value[CPU_SAMPLES] = 6;
	made_add(GROUND_HEAP, 2, 0, 0)->value[HEAP_ALLOC_RAW] = 7;
	made_add(GROUND_MUTEX, 2, 0, 0)->value[0] = 8 * ONE + ONE / 2;
	made.dropped[COUNT_HEAP_NO_ROOM] = 17;
	made.spent_ns[true] = 1234567890;
	made.spent_ns[false] = 1;
	made.rates.block_rate = 1500;
	assert_int_equal(ask("/metrics"), 200);
	assert_string_equal(asked.x.reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(asked.x.endpoint, "metrics");
	assert_true(has_line("pprofshim_samples_total{profile=\"profile\"} 11"));
	assert_true(has_line("pprofshim_samples_total{profile=\"heap\"} 7"));
	assert_true(has_line("pprofshim_samples_total{profile=\"mutex\"} 8"));
	assert_true(has_line("pprofshim_dropped_total{reason=\"heap_no_room\"} 17"));
	assert_true(has_line("pprofshim_dropped_total{reason=\"cpu_nested\"} 0"));
	assert_true(has_line("pprofshim_handler_cpu_seconds_total{in=\"tick\"} 1.234567890"));
	assert_true(has_line("pprofshim_handler_cpu_seconds_total{in=\"door\"} 0.000000001"));
	assert_true(has_line("pprofshim_block_rate_seconds 0.000001500"));
	assert_true(has_line("pprofshim_table_used_bytes{profile=\"profile\"} 1000"));
	assert_true(has_line("pprofshim_unwind_tables_bytes 7654321"));
	assert_false(asked.x.window.is_open);
}

static void health_is_ok(void **state)
{
	(void)state;
	assert_answer("/healthz", 200, PLAIN, "ok\n");
	assert_int_equal(ask_head("/healthz"), 200);
	assert_int_equal(ask_with("POST", "/healthz", NULL, NULL), 405);
	assert_string_equal(asked.x.reply.allow, "GET, HEAD");
	assert_int_equal(ask("/healthz/"), 404);
}

/* --- config ---------------------------------------------------------------------------------- */

static void config_says_the_rates(void **state)
{
	(void)state;
	assert_answer("/debug/pprof/config", 200, JSON,
		      "{\"cpu_hz\": 100, \"heap_rate\": 524288, \"block_rate\": 10000, "
		      "\"mutex_fraction\": 1}\n");
	assert_int_equal(made.rates_set, 0);
}

static void a_post_to_config_sets_the_rates(void **state)
{
	static const struct {
		const char *type, *body;
		unsigned hz;
		uint64_t rate, block, mutex;
	} cases[] = {
		{ JSON, "{\"cpu_hz\": 250}", 250, 524288, 10000, 1 },
		{ FORM, "heap_rate=64k", 250, 65536, 10000, 1 },
		{ FORM, "cpu_hz=0&heap_rate=0", 0, 0, 10000, 1 },
		{ JSON, "{\"cpu_hz\": \"1000\", \"heap_rate\": \"1024g\"}", 1000,
		  UINT64_C(1) << 40, 10000, 1 },
		{ NULL, "cpu_hz=7", 7, UINT64_C(1) << 40, 10000, 1 },
		{ FORM, "", 7, UINT64_C(1) << 40, 10000, 1 },
		{ FORM, "heap_rate=1&block_rate=0&mutex_fraction=0", 7, 1, 0, 0 },
		{ JSON, "{\"block_rate\": \"3600s\", \"mutex_fraction\": 1000000}", 7, 1,
		  UINT64_C(3600000000000), 1000000 },
		{ FORM, "block_rate=20ms", 7, 1, 20000000, 1000000 },
		{ FORM, "block_rate=1", 7, 1, 1, 1000000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char want[192];

		assert_int_equal(ask_with("POST", "/debug/pprof/config", cases[i].type,
					  cases[i].body),
				 200);
		snprintf(want, sizeof(want),
			 "{\"cpu_hz\": %u, \"heap_rate\": %llu, \"block_rate\": %llu, "
			 "\"mutex_fraction\": %llu}\n",
			 cases[i].hz, (unsigned long long)cases[i].rate,
			 (unsigned long long)cases[i].block,
			 (unsigned long long)cases[i].mutex);
		assert_string_equal(asked.body, want);
		assert_string_equal(asked.x.reply.content_type, JSON);
		assert_int_equal(made.rates.cpu_hz, cases[i].hz);
		assert_true(made.rates.heap_rate == cases[i].rate);
		assert_true(made.rates.block_rate == cases[i].block);
		assert_true(made.rates.mutex_fraction == cases[i].mutex);
	}
}

static void a_bad_post_to_config_changes_nothing_and_says_why(void **state)
{
	static const struct { const char *type, *body, *said; } cases[] = {
		{ FORM, "cpu_hz=1001",
		  "cpu_hz=1001: not allowed; allowed: 0 to 1000; nothing was changed\n" },
		{ FORM, "cpu_hz=fast",
		  "cpu_hz=fast: not allowed; allowed: 0 to 1000; nothing was changed\n" },
		{ FORM, "cpu_hz=-1",
		  "cpu_hz=-1: not allowed; allowed: 0 to 1000; nothing was changed\n" },
		{ FORM, "cpu_hz=",
		  "cpu_hz=: not allowed; allowed: 0 to 1000; nothing was changed\n" },
		{ FORM, "cpu_hz=5&heap_rate=2t",
		  "heap_rate=2t: not allowed; allowed: 0 to 1024g; nothing was changed\n" },
		{ FORM, "cpu_hz=5&depth=3", "depth=3: no such setting; there are cpu_hz, "
		  "heap_rate, block_rate and mutex_fraction; nothing was changed\n" },
		{ FORM, "block_rate=3601s",
		  "block_rate=3601s: not allowed; allowed: 0 to 3600s; nothing was changed\n" },
		{ FORM, "block_rate=1m",
		  "block_rate=1m: not allowed; allowed: 0 to 3600s; nothing was changed\n" },
		{ FORM, "mutex_fraction=1000001", "mutex_fraction=1000001: not allowed; "
		  "allowed: 0 to 1000000; nothing was changed\n" },
		{ FORM, "cpu_hz=a%0Ab%80%3Cc",
		  "cpu_hz=a?b?<c: not allowed; allowed: 0 to 1000; nothing was changed\n" },
		{ JSON, "{\"cpu_hz\": 5", NULL }, { JSON, "nonsense", NULL },
		{ "text/html", "x=1", NULL }, { FORM, "cpu_hz=5;heap_rate=1", NULL },
		{ FORM, "cpu_hz=5&cpu_hz=6", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(ask_with("POST", "/debug/pprof/config", cases[i].type,
					  cases[i].body),
				 400);
		if (cases[i].said != NULL)
			assert_string_equal(asked.body, cases[i].said);
		assert_non_null(strstr(asked.body, "; nothing was changed\n"));
		assert_string_equal(asked.x.reply.content_type, PLAIN);
		assert_true(asked.x.reply.from_pprof);
		assert_int_equal(made.rates_set, 0);
		assert_int_equal(made.rates.cpu_hz, 100);
	}
}

static void what_a_client_sent_is_cut_in_the_answer(void **state)
{
	char body[1000] = "cpu_hz=";

	(void)state;
	memset(body + 7, '<', sizeof(body) - 8);
	assert_int_equal(ask_with("POST", "/debug/pprof/config", FORM, body), 400);
	assert_true(asked.len < 200);
	assert_non_null(strstr(asked.body, "; nothing was changed\n"));
}

/* --- symbol and cmdline ---------------------------------------------------------------------- */

static void symbol_names_addresses(void **state)
{
	static const struct { const char *query, *lines; } cases[] = {
		{ "", "" },
		{ "0x555500000010", "0x555500000010 work\n" },
		{ "0x555500000010+0x7f0000000001", "0x555500000010 work\n0x7f0000000001 malloc\n" },
		{ "93823560581136", "0x555500000010 work\n" },
		{ "02525240000000020", "0x555500000010 work\n" },
		{ "0o2525240000000020", "0x555500000010 work\n" },
		{ "0b10101010101010100000000000000000000000000010000", "0x555500000010 work\n" },
		{ "0X555500000010", "0x555500000010 work\n" },
		{ "0x555500000020", "0x555500000020 ns::Box<3>::add\n" },
		/* Not in any object, and not numbers. */
		{ "0x1234", "" }, { "0x", "" }, { "0", "" }, { "x", "" }, { "0xg", "" },
		{ "+", "" }, { "0x555500000010+nonsense+0x555500000000",
		  "0x555500000010 work\n0x555500000000 main\n" },
		{ "0x10000555500000010", "" }, { "99999999999999999999", "" },
		{ "%30x555500000010", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char target[256], want[256];

		snprintf(target, sizeof(target), "/debug/pprof/symbol?%s", cases[i].query);
		snprintf(want, sizeof(want), "num_symbols: 1\n%s", cases[i].lines);
		assert_answer(target, 200, PLAIN, want);
		assert_int_equal(ask_with("POST", "/debug/pprof/symbol", NULL, cases[i].query),
				 200);
		assert_string_equal(asked.body, want);
	}
	/* The same below other names: go tool pprof asks so. */
	assert_answer("/debug/pprof/heap/symbol?0x555500000010", 200, PLAIN,
		      "num_symbols: 1\n0x555500000010 work\n");
}

static void a_post_without_a_body_asks_for_nothing(void **state)
{
	(void)state;
	assert_int_equal(ask_with("POST", "/debug/pprof/symbol", NULL, NULL), 200);
	assert_string_equal(asked.body, "num_symbols: 1\n");
}

static void cmdline_is_the_arguments_with_a_nul_between(void **state)
{
	static char want[1 << 16];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, want, sizeof(want));

	(void)state;
	close(fd);
	assert_true(n > 1 && want[n - 1] == '\0');
	assert_int_equal(ask("/debug/pprof/cmdline"), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_int_equal(asked.len, n - 1);
	assert_memory_equal(asked.body, want, (size_t)n - 1);
}

/* --- routes ---------------------------------------------------------------------------------- */

static void what_is_not_there_is_said_as_go_says_it(void **state)
{
	(void)state;
	assert_answer("/debug/pprof/nope", 404, PLAIN, "Unknown profile\n");
	assert_true(asked.x.reply.from_pprof);
	assert_answer("/debug/pprof/heap/", 404, PLAIN, "Unknown profile\n");
	assert_answer("/debug/pprof/HEAP", 404, PLAIN, "Unknown profile\n");
	assert_answer("/other", 404, PLAIN, "404 page not found\n");
	assert_false(asked.x.reply.from_pprof);
	assert_answer("/debug/pprofx/heap", 404, PLAIN, "404 page not found\n");
	assert_answer("/debug/pprof/heap%00x", 404, PLAIN, "Unknown profile\n");
}

static void the_way_to_the_index_is_shown(void **state)
{
	static const char *const targets[] = { "/", "/debug/pprof" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(targets); i++) {
		assert_int_equal(ask(targets[i]), 307);
		assert_string_equal(asked.x.reply.location, "/debug/pprof/");
	}
}

static void methods_that_a_route_has_not_are_refused(void **state)
{
	static const struct { const char *method, *target, *allow; } cases[] = {
		{ "POST", "/debug/pprof/heap", "GET, HEAD" },
		{ "PUT", "/debug/pprof/", "GET, HEAD" },
		{ "POST", "/debug/pprof/nope", "GET, HEAD" },
		{ "DELETE", "/debug/pprof/config", "GET, HEAD, POST" },
		{ "get", "/debug/pprof/heap", "GET, HEAD" },
		{ "GE", "/debug/pprof/heap", "GET, HEAD" },
		{ "OPTIONS", "/debug/pprof/symbol", "GET, HEAD, POST" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(ask_with(cases[i].method, cases[i].target, NULL, NULL), 405);
		assert_string_equal(asked.x.reply.allow, cases[i].allow);
		assert_string_equal(asked.body, "Method Not Allowed\n");
	}
	assert_int_equal(made.rates_set, 0);
}

static void routes_are_sorted_by_name(void **state)
{
	(void)state;
	for (size_t i = 1; routes_at(i) != NULL; i++)
		assert_true(strcmp(routes_at(i - 1)->name, routes_at(i)->name) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(debug_1_is_gos_text_of_what_was_sampled),
		TEST(the_text_ends_with_what_is_known_of_memory),
		TEST(the_text_says_how_old_the_blocks_of_a_row_are),
		TEST(without_names_the_text_has_addresses),
		TEST(a_text_without_rows_is_a_text),
		TEST(the_index_has_every_route_and_its_count),
		TEST(the_index_says_what_was_given_up),
		TEST(the_index_says_the_rates_and_what_is_off),
		TEST(the_index_says_the_options),
		TEST(metrics_say_what_was_counted),
		TEST(health_is_ok),
		TEST(config_says_the_rates),
		TEST(a_post_to_config_sets_the_rates),
		TEST(a_bad_post_to_config_changes_nothing_and_says_why),
		TEST(what_a_client_sent_is_cut_in_the_answer),
		TEST(symbol_names_addresses),
		TEST(a_post_without_a_body_asks_for_nothing),
		TEST(cmdline_is_the_arguments_with_a_nul_between),
		TEST(what_is_not_there_is_said_as_go_says_it),
		TEST(the_way_to_the_index_is_shown),
		TEST(methods_that_a_route_has_not_are_refused),
		TEST(routes_are_sorted_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
