/* /pprof/: gperftools' dialect, byte by byte up to the mappings. */
#include "fake/asked.h"
#include "fake/made_program.h"
#include "sampler/random.h"

#define ONE   ((uint64_t)RANDOM_WEIGHT_ONE)
#define PLAIN "text/plain; charset=utf-8"
#define OCTET "application/octet-stream"

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

/* work, called by main; and main. */
static uint32_t deep_stack(void)
{
	frame_t frame[] = { program_frame(PROGRAM_WORK), program_frame(PROGRAM_MAIN) };

	return made_stack(frame, 2);
}

static uint32_t flat_stack(void)
{
	frame_t frame[] = { program_frame(PROGRAM_MAIN) };

	return made_stack(frame, 1);
}

/* malloc, called by work. */
static uint32_t malloc_stack(void)
{
	frame_t frame[] = { library_frame(LIBRARY_MALLOC), program_frame(PROGRAM_WORK) };

	return made_stack(frame, 2);
}

/* Takes the line of a module off the text. */
static const char *assert_mapping(const char *text, const struct module *m)
{
	char want[2 * MODULE_PATH_MAX];

	snprintf(want, sizeof(want), "%lx-%lx r-xp %08lx %02x:%02x %lu %s\n", m->start, m->limit,
		 m->offset, (unsigned)(m->dev >> 32), (unsigned)m->dev, m->inode, m->path);
	assert_memory_equal(text, want, strlen(want));
	return text + strlen(want);
}

/* The program first; what is gone is not there. */
static void assert_maps(const char *text)
{
	text = assert_mapping(text, &made.module[1]);
	text = assert_mapping(text, &made.module[0]);
	assert_string_equal(text, "");
}

static void assert_text_then_maps(const char *target, const char *want)
{
	assert_int_equal(ask(target), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_true(asked.len > strlen(want));
	if (memcmp(asked.body, want, strlen(want)) != 0) {
		asked.body[strlen(want)] = '\0';
		assert_string_equal(asked.body, want);
	}
	assert_maps(asked.body + strlen(want));
}

static void assert_words_then_maps(const char *target, const char *filename, const uint64_t *want,
				   size_t words)
{
	assert_int_equal(ask(target), 200);
	assert_string_equal(asked.x.reply.content_type, OCTET);
	assert_string_equal(asked.x.reply.filename, filename);
	assert_true(asked.len > 8 * words);
	for (size_t i = 0; i < words; i++) {
		uint64_t word;

		memcpy(&word, asked.body + 8 * i, 8);
		assert_int_equal(word, want[i]);
	}
	assert_maps(asked.body + 8 * words);
}

/* --- heap ------------------------------------------------------------------------------------ */

/* As they are counted when they are sampled at this rate. */
static void add_blocks(uint32_t stack, uint32_t size, uint64_t rate, uint64_t allocated,
		       uint64_t freed)
{
	struct made_row *r = made_add(GROUND_HEAP, stack, size, 1);
	uint64_t weight = random_weight(size, rate), bytes = weight * size / ONE;

	r->value[HEAP_ALLOC_OBJECTS] = allocated * weight;
	r->value[HEAP_ALLOC_BYTES] = allocated * bytes;
	r->value[HEAP_ALLOC_RAW] = allocated;
	r->value[HEAP_ALLOC_RAW_BYTES] = allocated * size;
	r->value[HEAP_FREE_OBJECTS] = freed * weight;
	r->value[HEAP_FREE_BYTES] = freed * bytes;
	r->value[HEAP_FREE_RAW] = freed;
	r->value[HEAP_FREE_RAW_BYTES] = freed * size;
}

static void add_heap(uint64_t rate)
{
	uint32_t stack = malloc_stack();

	add_blocks(stack, 1000, rate, 5, 2);
	add_blocks(stack, 64, rate, 3, 3);
	add_blocks(flat_stack(), 7000, rate, 4, 0);
	/* The same as the first, as another generation has it. */
	add_blocks(malloc_stack(), 1000, rate, 1, 0);
}

static void the_heap_is_as_it_was_sampled(void **state)
{
	(void)state;
	add_heap(made.rates.heap_rate);
	assert_text_then_maps("/pprof/heap",
			      "heap profile: 8: 32000 [13: 34192] @ heap_v2/524288\n"
			      "4: 4000 [6: 6000] @ 0x555500000016\n"
			      "4: 28000 [4: 28000] @ 0x555500000006\n"
			      "0: 0 [3: 192] @ 0x555500000016\n"
			      "\nMAPPED_LIBRARIES:\n");
	assert_null(asked.x.reply.filename);
	assert_int_equal(made.refreshes, 1);
}

static void where_all_is_recorded_readers_take_it_as_it_is(void **state)
{
	(void)state;
	add_heap(1);
	for (made.rates.heap_rate = 0; made.rates.heap_rate <= 1; made.rates.heap_rate++)
		assert_text_then_maps("/pprof/heap",
				      "heap profile: 8: 32000 [13: 34192] @ heapprofile\n"
				      "4: 28000 [4: 28000] @ 0x555500000006\n"
				      "4: 4000 [6: 6000] @ 0x555500000016\n"
				      "0: 0 [3: 192] @ 0x555500000016\n"
				      "\nMAPPED_LIBRARIES:\n");
}

/* One block of 64 in 64 bytes is no whole sample at another rate; nor is it nothing. */
static void where_the_rate_was_another_readers_take_it_as_it_is(void **state)
{
	(void)state;
	add_blocks(malloc_stack(), 64, 4096, 1, 1);
	add_blocks(flat_stack(), 1 << 30, made.rates.heap_rate, 1, 0);
	assert_text_then_maps("/pprof/heap",
			      "heap profile: 1: 1073741824 [66: 1073745952] @ heapprofile\n"
			      "1: 1073741824 [1: 1073741824] @ 0x555500000006\n"
			      "0: 0 [65: 4128] @ 0x555500000016\n"
			      "\nMAPPED_LIBRARIES:\n");
}

/* 32769 of 336 bytes in the mean, 21 of which would be sampled. */
static void what_was_evicted_is_said_as_one_size(void **state)
{
	frame_t evicted[] = { FRAME_EVICTED };
	struct made_row *sum = made_add(GROUND_HEAP, made_stack(evicted, 1), 0, 0), *r;
	static const uint32_t size[] = { 16, 10 << 20 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(size); i++) {
		add_blocks(malloc_stack(), size[i], made.rates.heap_rate, 1, 1);
		r = &made.row[GROUND_HEAP][made.rows[GROUND_HEAP]];
		for (size_t k = 0; k < SITES_VALUES; k++)
			sum->value[k] += r->value[k];
		r->unpublished = true;
	}
	assert_text_then_maps("/pprof/heap",
			      "heap profile: 0: 0 [21: 7056] @ heap_v2/524288\n"
			      "0: 0 [21: 7056] @ 0x29\n"
			      "\nMAPPED_LIBRARIES:\n");
}

/* --- growth ---------------------------------------------------------------------------------- */

static void growth_is_all_that_was_ever_mapped(void **state)
{
	struct made_row *r = made_add(GROUND_MAPPED, deep_stack(), 0, 1);
	frame_t brk[] = { FRAME_MAPPED_BRK };

	(void)state;
	r->value[MAPPED_ALLOC_OBJECTS] = 5;
	r->value[MAPPED_ALLOC_BYTES] = 50000;
	r->value[MAPPED_FREE_OBJECTS] = 5;
	r->value[MAPPED_FREE_BYTES] = 50000;
	r->value[MAPPED_NOTED_OBJECTS] = 6;
	r->value[MAPPED_NOTED_BYTES] = 60000;
	r->value[MAPPED_LOST_OBJECTS] = 1;
	r->value[MAPPED_LOST_BYTES] = 10000;
	r = made_add(GROUND_MAPPED, made_stack(brk, 1), 0, 0);
	r->value[MAPPED_ALLOC_OBJECTS] = 1;
	r->value[MAPPED_ALLOC_BYTES] = 4096;
	assert_text_then_maps("/pprof/growth",
			      "heap profile: 7: 64096 [7: 64096] @ growth\n"
			      "6: 60000 [6: 60000] @ 0x555500000016 0x555500000006\n"
			      "1: 4096 [1: 4096] @ 0x39\n"
			      "\nMAPPED_LIBRARIES:\n");
}

/* --- contention ------------------------------------------------------------------------------ */

static void add_waits(uint32_t stack, uint64_t contentions, uint64_t delay_ns)
{
	struct made_row *r = made_add(GROUND_MUTEX, stack, 3, 1);

	r->value[LOCKS_CONTENTIONS] = contentions;
	r->value[LOCKS_DELAY_NS] = delay_ns;
}

static void contention_is_who_held_the_locks(void **state)
{
	(void)state;
	made.rates.mutex_fraction = 5;
	add_waits(flat_stack(), ONE / 3, 500);
	add_waits(deep_stack(), 2 * ONE, 1000);
	add_waits(deep_stack(), ONE, 2000);
	/* Who waited is not asked for. */
	made_add(GROUND_BLOCK, deep_stack(), 0, 1)->value[LOCKS_DELAY_NS] = 9999;
	assert_text_then_maps("/pprof/contention",
			      "--- contention:\ncycles/second=1000000000\nsampling period=1\n"
			      "3000 3 @ 0x555500000016 0x555500000006\n"
			      "500 1 @ 0x555500000006\n"
			      "--- Memory map: ---\n");
}

static void without_rows_there_is_still_all_the_rest(void **state)
{
	static const uint64_t empty[] = { 0, 3, 0, 10000, 0, 0, 1, 0 };
	static const uint64_t empty_wall[] = { 0, 3, 0, 10101, 0, 0, 1, 0 };

	(void)state;
	assert_text_then_maps("/pprof/heap",
			      "heap profile: 0: 0 [0: 1] @ heap_v2/524288\n\nMAPPED_LIBRARIES:\n");
	assert_text_then_maps("/pprof/growth",
			      "heap profile: 0: 0 [0: 0] @ growth\n\nMAPPED_LIBRARIES:\n");
	assert_text_then_maps("/pprof/contention",
			      "--- contention:\ncycles/second=1000000000\nsampling period=1\n"
			      "--- Memory map: ---\n");
	assert_words_then_maps("/pprof/profile?seconds=1", "profile", empty, COUNT_OF(empty));
	assert_words_then_maps("/pprof/wall?seconds=1", "wall", empty_wall, COUNT_OF(empty_wall));
}

/* --- profile and wall ------------------------------------------------------------------------ */

static void add_time(enum ground_profile ground, uint32_t stack, uint64_t samples, uint64_t ns)
{
	struct made_row *r = made_add(ground, stack, 0, 1);

	/* CPU_SAMPLES, CPU_NANOSECONDS; of the wall samples are weighted. */
	r->value[0] = samples;
	r->value[1] = ns;
}

static void uses_the_cpu(void)
{
	frame_t none[1] = { 0 };

	made.on_refresh = NULL;
	/* Half of it at another's rate. */
	add_time(GROUND_CPU, flat_stack(), 4, 4000000);
	add_time(GROUND_CPU, deep_stack(), 4, 40000000);
	add_time(GROUND_CPU, made_stack(none, 0), 2, 11000000);
	add_time(GROUND_CPU, flat_stack(), 0, 0);
}

static void a_profile_is_the_time_in_its_own_periods(void **state)
{
	static const uint64_t want[] = {
		0, 3, 0, 5500, 0,
		7, 2, UINT64_C(0x555500000015), UINT64_C(0x555500000006),       /* of 7.27 */
		2, 1, 12 * 16 + 8,      /* [stack unavailable] */
		1, 1, UINT64_C(0x555500000005),                                 /* of 0.73 */
		0, 1, UINT64_C(0x555500000015),
		0, 1, 0,
	};

	(void)state;
	/* Before the window. */
	add_time(GROUND_CPU, deep_stack(), 1000, 1000000000);
	made.quiet_refreshes = 1;
	made.on_refresh = uses_the_cpu;
	assert_words_then_maps("/pprof/profile?seconds=1&hz=250", "profile", want, COUNT_OF(want));
	assert_int_equal(made.raised_hz, 250);
}

static void sleeps(void)
{
	made.on_refresh = NULL;
	add_time(GROUND_WALL, deep_stack(), 3 * ONE, 3000000);
	add_time(GROUND_WALL, flat_stack(), 900 * ONE, 900000000);
}

static void wall_is_the_time_in_the_periods_that_were_asked_for(void **state)
{
	static const uint64_t want[] = {
		0, 3, 0, 1000, 0,
		900, 1, UINT64_C(0x555500000005),
		3, 2, UINT64_C(0x555500000015), UINT64_C(0x555500000006),
		0, 1, UINT64_C(0x555500000005),
		0, 1, 0,
	};

	(void)state;
	made.quiet_refreshes = 1;
	made.on_refresh = sleeps;
	assert_words_then_maps("/pprof/wall?hz=1000", "wall", want, COUNT_OF(want));
	assert_int_equal(made.scans, 1);
}

/* --- what is asked --------------------------------------------------------------------------- */

static void a_head_measures_nothing(void **state)
{
	(void)state;
	assert_int_equal(ask_head("/pprof/profile?seconds=7"), 200);
	assert_string_equal(asked.x.reply.content_type, OCTET);
	assert_true(asked.x.reply.length_unknown);
	assert_false(asked.x.window.is_open);
	assert_int_equal(ask_head("/pprof/wall"), 200);
	assert_true(asked.x.reply.length_unknown);
	assert_false(asked.x.window.is_open);
	assert_int_equal(made.refreshes + made.raises + made.scans, 0);
	assert_int_equal(ask_head("/pprof/symbol"), 200);
	assert_int_equal(ask_head("/pprof/heap"), 200);
	assert_false(asked.x.reply.length_unknown);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char hz[] = "invalid value for \"hz\" - must be an integer from 1 to 1000\n";
	static const char seconds[] =
		"\"seconds\" parameter is not supported for this profile type\n";
	static const char *const snapshots[] = { "heap", "growth", "contention" };
	char target[64];

	(void)state;
	assert_answer("/pprof/profile?hz=0", 400, PLAIN, hz);
	assert_answer("/pprof/profile?hz=1001", 400, PLAIN, hz);
	assert_answer("/pprof/profile?hz=ten", 400, PLAIN, hz);
	assert_answer("/pprof/wall?hz=0", 400, PLAIN, hz);
	assert_answer("/pprof/wall?hz=-1", 400, PLAIN, hz);
	assert_true(asked.x.reply.from_pprof);
	for (size_t i = 0; i < COUNT_OF(snapshots); i++) {
		snprintf(target, sizeof(target), "/pprof/%s?seconds=5", snapshots[i]);
		assert_answer(target, 400, PLAIN, seconds);
		assert_true(asked.x.reply.from_pprof);
		snprintf(target, sizeof(target), "/pprof/%s?seconds=x", snapshots[i]);
		assert_answer(target, 400, PLAIN, seconds);
		assert_int_equal(ask_with("POST", "/pprof/heap", NULL, ""), 405);
		assert_string_equal(asked.x.reply.allow, "GET, HEAD");
	}
}

static void what_there_is_not_says_so(void **state)
{
	static const char *const none[] = { "pmuprofile?event=X:Y&period=1&seconds=1",
					    "filteredprofile", "censusprofile?seconds=1" };
	char target[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++) {
		snprintf(target, sizeof(target), "/pprof/%s", none[i]);
		assert_answer(target, 501, PLAIN,
			      "not supported here: /pprof/ has profile, wall, heap, growth, "
			      "contention, symbol and cmdline\n");
		assert_true(asked.x.reply.from_pprof);
	}
	assert_answer("/pprof/nothing", 404, PLAIN, "404 page not found\n");
	assert_answer("/pprof/", 404, PLAIN, "404 page not found\n");
}

static void symbol_counts_and_names(void **state)
{
	(void)state;
	assert_answer("/pprof/symbol", 200, PLAIN, "num_symbols: 1\n");
	assert_int_equal(ask_with("POST", "/pprof/symbol", "application/x-www-form-urlencoded",
				  "0x0000555500000005+0x0000555500000015"), 200);
	assert_string_equal(asked.body, "num_symbols: 1\n0x555500000005 main\n"
					"0x555500000015 work\n");
	assert_string_equal(asked.x.reply.content_type, PLAIN);
}

static void a_line_of_cmdline_is_an_argument(void **state)
{
	char was[4096], want[4096];
	size_t n, len = 0;
	FILE *f = fopen("/proc/self/cmdline", "r");

	(void)state;
	n = fread(was, 1, sizeof(was) - 1, f);
	fclose(f);
	for (size_t i = 0; i < n; i++)
		want[len++] = was[i] == '\0' ? '\n' : was[i] == '\n' ? ' ' : was[i];
	want[len] = '\0';
	assert_answer("/pprof/cmdline", 200, PLAIN, want);
}

/* --- memory ---------------------------------------------------------------------------------- */

static const char *const all[] = { "/pprof/heap", "/pprof/growth", "/pprof/contention",
				   "/pprof/profile", "/pprof/wall" };

/* Whatever does not fit: the arena says so, for conn.c to answer that, and nothing is left. */
static void a_full_arena_is_no_answer(void **state)
{
	unsigned failed = 0;

	(void)state;
	add_heap(made.rates.heap_rate);
	add_waits(deep_stack(), ONE, 1000);
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		bool full = true;

		for (size_t budget = 4096; full; budget += 4096) {
			asked.budget_bytes = budget;
			ask(all[i]);
			full = asked.x.arena.failed;
			failed += full;
			assert_true(budget < 64u << 20);
		}
		assert_int_equal(asked.x.reply.status, 200);
	}
	asked.budget_bytes = 0;
	assert_true(failed >= COUNT_OF(all));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_heap_is_as_it_was_sampled),
		TEST(where_all_is_recorded_readers_take_it_as_it_is),
		TEST(where_the_rate_was_another_readers_take_it_as_it_is),
		TEST(what_was_evicted_is_said_as_one_size),
		TEST(growth_is_all_that_was_ever_mapped),
		TEST(contention_is_who_held_the_locks),
		TEST(without_rows_there_is_still_all_the_rest),
		TEST(a_profile_is_the_time_in_its_own_periods),
		TEST(wall_is_the_time_in_the_periods_that_were_asked_for),
		TEST(a_head_measures_nothing),
		TEST(what_cannot_be_is_refused),
		TEST(what_there_is_not_says_so),
		TEST(symbol_counts_and_names),
		TEST(a_line_of_cmdline_is_an_argument),
		TEST(a_full_arena_is_no_answer),
	};

	/* An argument in two lines. */
	if (argc == 1) {
		execl("/proc/self/exe", argv[0], "one", "two\nlines", (char *)NULL);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
