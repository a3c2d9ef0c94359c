/* /block and /mutex: as files, as texts, over a window, by lock, and who waited for whom. */
#include "fake/asked_files.h"

#include "sampler/random.h"
#include "sampler/sample.h"

#define ONE   ((uint64_t)RANDOM_WEIGHT_ONE)
#define PLAIN "text/plain; charset=utf-8"

static struct made_row *add(enum ground_profile ground, uint32_t stack, uint32_t lock,
			    uint64_t contentions, uint64_t delay_ns)
{
	struct made_row *r = made_add(ground, stack, lock, 1);

	r->value[LOCKS_CONTENTIONS] = contentions;
	r->value[LOCKS_DELAY_NS] = delay_ns;
	return r;
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

static const char *leaf(size_t sample)
{
	const Pprofshim__Sample *s = profile->sample[sample];
	const Pprofshim__Location *l = profile->location[s->location_id[0] - 1];

	return string_of(profile, profile->function[l->line[0]->function_id - 1]->name);
}

static void assert_sample(size_t sample, const char *name, int64_t contentions, int64_t delay)
{
	assert_true(sample < profile->n_sample);
	assert_string_equal(leaf(sample), name);
	assert_int_equal(profile->sample[sample]->value[0], contentions);
	assert_int_equal(profile->sample[sample]->value[1], delay);
}

/* --- files ----------------------------------------------------------------------------------- */

static const struct { enum ground_profile ground; const char *name; } kinds[] = {
	{ GROUND_BLOCK, "block" }, { GROUND_MUTEX, "mutex" },
};

static void target_of(char target[static 128], unsigned kind, const char *query)
{
	snprintf(target, 128, "/debug/pprof/%s%s", kinds[kind].name, query);
}

static void they_are_contentions_and_delay_and_the_longest_is_first(void **state)
{
	char target[128];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		add(kinds[i].ground, flat_stack(), 0, 3 * ONE, 1000 + i);
		add(kinds[i].ground, deep_stack(), 0, 2 * ONE + ONE / 2, 70000 + i);
	}
	/* Scaled where it was recorded: the period stays 1, whatever the rates are. */
	made.rates.block_rate = 10000;
	made.rates.mutex_fraction = 5;
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		target_of(target, i, "");
		get(target, kinds[i].name);
		assert_int_equal(profile->n_sample_type, 2);
		assert_string_equal(string_of(profile, profile->sample_type[0]->type),
				    "contentions");
		assert_string_equal(string_of(profile, profile->sample_type[0]->unit), "count");
		assert_string_equal(string_of(profile, profile->sample_type[1]->type), "delay");
		assert_string_equal(string_of(profile, profile->sample_type[1]->unit),
				    "nanoseconds");
		assert_string_equal(string_of(profile, profile->period_type->type), "contentions");
		assert_string_equal(string_of(profile, profile->period_type->unit), "count");
		assert_int_equal(profile->period, 1);
		assert_int_equal(profile->default_sample_type, 0);
		assert_int_equal(profile->n_sample, 2);
		assert_sample(0, "work", 3, 70000 + i);
		assert_sample(1, "main", 3, 1000 + i);
	}
}

static void an_unknown_holder_says_so(void **state)
{
	frame_t frame[] = { FRAME_LOCK_HOLDER_UNKNOWN };

	(void)state;
	add(GROUND_MUTEX, made_stack(frame, 1), 0, ONE, 5);
	get("/debug/pprof/mutex", "mutex");
	assert_sample(0, "[holder unknown]", 1, 5);
	assert_int_equal(profile->location[0]->mapping_id, 0);
}

static void live_on(void)
{
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		made.row[kinds[i].ground][1].value[LOCKS_CONTENTIONS] += 4 * ONE;
		made.row[kinds[i].ground][1].value[LOCKS_DELAY_NS] += 600;
	}
}

static void a_window_is_what_happened_in_it(void **state)
{
	char target[128], filename[32];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		add(kinds[i].ground, deep_stack(), 0, 100 * ONE, 100000);
		add(kinds[i].ground, flat_stack(), 0, 100 * ONE, 100000);
	}
	made.on_refresh = live_on;
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		made.refreshes = 0;
		made.quiet_refreshes = 1;
		target_of(target, i, "?seconds=1");
		snprintf(filename, sizeof(filename), "%s-delta", kinds[i].name);
		get(target, filename);
		assert_int_equal(profile->n_sample, 1);
		assert_sample(0, "work", 4, 600);
		assert_true(profile->duration_nanos > 0);
	}
}

/* --- by lock --------------------------------------------------------------------------------- */

/* So that the made program has data: work's 16 bytes pose as a global. */
static void add_locks(void)
{
	static const struct made_symbol symbol[] = {
		{ "main", 0, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "work", 16, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "hot_lock", 0x100, 40, STT_OBJECT, STB_GLOBAL, 0 },
	};
	const struct made_elf how = { .full = symbol, .full_count = 3, .code_bytes = 4096 };
	struct module *m = &made.module[1];

	if (!made_module(&how, program_path, PROGRAM_START, m))
		abort();
	m->main = true;
	m->alive = true;
	m->image = PROGRAM_START - MADE_CODE_OFFSET;
	made.lock[1] = PROGRAM_START + 0x100;
	made.lock[2] = PROGRAM_START + 0x108;
	made.lock[3] = 0x7e0000001238;
}

static const Pprofshim__Label *label(size_t sample, const char *key)
{
	const Pprofshim__Sample *s = profile->sample[sample];

	for (size_t i = 0; i < s->n_label; i++)
		if (strcmp(string_of(profile, s->label[i]->key), key) == 0)
			return s->label[i];
	return NULL;
}

static void assert_lock(size_t sample, const char *name, int64_t address)
{
	const Pprofshim__Label *named = label(sample, "lock"), *at = label(sample, "lock_addr");

	assert_int_equal(named != NULL, name != NULL);
	if (name != NULL)
		assert_string_equal(string_of(profile, named->str), name);
	assert_int_equal(at != NULL, address != 0);
	if (address != 0)
		assert_int_equal(at->num, address);
	assert_null(label(sample, "bytes"));
}

static void locks_are_put_together_unless_asked_for(void **state)
{
	char target[128];

	(void)state;
	add_locks();
	made.thread_name[1] = "first";
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		uint32_t stack = deep_stack();

		for (uint32_t lock = 0; lock < 5; lock++)
			add(kinds[i].ground, stack, lock, ONE, 1000 - 100 * lock);
		target_of(target, i, "");
		get(target, kinds[i].name);
		assert_int_equal(profile->n_sample, 1);
		assert_sample(0, "work", 5, 4000);
		assert_int_equal(profile->sample[0]->n_label, 0);

		target_of(target, i, "?labels=lock");
		get(target, kinds[i].name);
		assert_int_equal(profile->n_sample, 5);
		assert_lock(0, NULL, 0);
		assert_lock(1, "hot_lock", PROGRAM_START + 0x100);
		assert_lock(2, "hot_lock+0x8", PROGRAM_START + 0x108);
		assert_lock(3, NULL, 0x7e0000001238);
		/* One that the ground does not know any more. */
		assert_lock(4, NULL, 0);
		assert_null(label(1, "thread"));

		target_of(target, i, "?labels=thread,lock");
		get(target, kinds[i].name);
		assert_int_equal(profile->n_sample, 5);
		assert_lock(1, "hot_lock", PROGRAM_START + 0x100);
		assert_non_null(label(1, "thread"));

		target_of(target, i, "?labels=thread");
		get(target, kinds[i].name);
		assert_int_equal(profile->n_sample, 1);
		assert_non_null(label(0, "thread"));
	}
	/* No names at all: the number stays. */
	asked.desk.names = false;
	get("/debug/pprof/mutex?labels=lock", "mutex");
	assert_lock(1, NULL, PROGRAM_START + 0x100);
	/* The size of a heap's sample is no lock. */
	asked.desk.names = true;
	made_add(GROUND_HEAP, flat_stack(), 1, 1)->value[HEAP_ALLOC_BYTES] = 1;
	get("/debug/pprof/heap?labels=thread", "heap");
	assert_non_null(label(0, "bytes"));
	assert_null(label(0, "lock_addr"));
}

/* --- texts ----------------------------------------------------------------------------------- */

static void debug_1_is_gos_text(void **state)
{
	static const char *const head[] = {
		"--- contention:\ncycles/second=1000000000\n",
		"--- mutex:\ncycles/second=1000000000\nsampling period=1\n",
	};
	char target[128], want[2048];

	(void)state;
	made.rates.mutex_fraction = 5;
	for (unsigned i = 0; i < COUNT_OF(kinds); i++) {
		uint32_t stack = deep_stack();

		add(kinds[i].ground, flat_stack(), 0, ONE, 500);
		add(kinds[i].ground, stack, 1, ONE, 1000);
		/* The same once more, as another generation has it. */
		add(kinds[i].ground, deep_stack(), 2, ONE, 2000);
		snprintf(want, sizeof(want),
			 "%s3000 2 @ 0x555500000016 0x555500000006\n"
			 "#\t0x555500000015\twork+0x5\t%s:0\n"
			 "#\t0x555500000005\tmain+0x5\t%s:0\n\n"
			 "500 1 @ 0x555500000006\n"
			 "#\t0x555500000005\tmain+0x5\t%s:0\n\n",
			 head[i], program_path, program_path, program_path);
		target_of(target, i, "?debug=1");
		assert_answer(target, 200, PLAIN, want);
		assert_null(asked.x.reply.filename);
	}
}

static void a_text_without_rows_is_its_head(void **state)
{
	(void)state;
	assert_answer("/debug/pprof/block?debug=1", 200, PLAIN,
		      "--- contention:\ncycles/second=1000000000\n");
	assert_answer("/debug/pprof/mutex?debug=2", 200, PLAIN,
		      "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
}

/* --- pairs ----------------------------------------------------------------------------------- */

static void add_pair(uint32_t waiter, uint32_t holder, uint64_t contentions, uint64_t delay_ns)
{
	static unsigned next;

	next = made.pair[0].contentions == 0 ? 1 : next + 1;
	made.pair[next - 1] = (struct lock_pair){ waiter, holder, contentions, delay_ns };
	made.pair[next].contentions = 0;
}

static void pairs_say_who_waited_for_whom(void **state)
{
	char want[2048];

	(void)state;
	add(GROUND_BLOCK, deep_stack(), 0, ONE, 1);
	add(GROUND_BLOCK, made.row[GROUND_BLOCK][1].key.stack, 7, ONE, 1);
	add(GROUND_MUTEX, flat_stack(), 0, ONE, 1);
	add_pair(1, 1, 2 * ONE, 100);
	/* The waiter is gone, or the holder; and the same site, on another lock. */
	add_pair(0, 1, ONE, 300);
	add_pair(1, 0, ONE, 50);
	add_pair(2, 1, ONE, 500);
	snprintf(want, sizeof(want),
		 "--- pairs: waiter <- holder\n"
		 "cycles/second=1000000000\n"
		 "600 3 work <- main\n"
		 "# waiter @ 0x555500000016 0x555500000006\n"
		 "#\t0x555500000015\twork+0x5\t%s:0\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n"
		 "# holder @ 0x555500000006\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n"
		 "\n"
		 "300 1 [evicted] <- main\n"
		 "# waiter @ 0x3\n"
		 "#\t0x2\t[evicted]+0x0\t?:0\n"
		 "# holder @ 0x555500000006\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n"
		 "\n"
		 "50 1 work <- [holder unknown]\n"
		 "# waiter @ 0x555500000016 0x555500000006\n"
		 "#\t0x555500000015\twork+0x5\t%s:0\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n"
		 "# holder @ 0x8\n"
		 "#\t0x7\t[holder unknown]+0x0\t?:0\n"
		 "\n", program_path, program_path, program_path, program_path, program_path,
		 program_path);
	assert_answer("/debug/pprof/mutex?view=pairs", 200, PLAIN, want);
	assert_answer("/debug/pprof/block?view=pairs&debug=1", 200, PLAIN, want);
}

static void pairs_without_names_are_addresses(void **state)
{
	(void)state;
	asked.desk.names = false;
	add(GROUND_BLOCK, deep_stack(), 0, ONE, 1);
	add(GROUND_MUTEX, flat_stack(), 0, ONE, 1);
	add_pair(1, 1, ONE, 100);
	assert_int_equal(ask("/debug/pprof/mutex?view=pairs"), 200);
	assert_non_null(strstr(asked.body, "\n100 1 0x555500000015 <- 0x555500000005\n"));
}

static void without_pairs_there_is_the_head(void **state)
{
	(void)state;
	assert_answer("/debug/pprof/mutex?view=pairs", 200, PLAIN,
		      "--- pairs: waiter <- holder\ncycles/second=1000000000\n");
}

/* --- parameters ------------------------------------------------------------------------------ */

static void bad_parameters_are_one_line(void **state)
{
	static const struct { const char *query, *error; } cases[] = {
		{ "?view=x", "invalid value for \"view\" - must be pairs\n" },
		{ "?view=pairs2345", "invalid value for \"view\" - must be pairs\n" },
		{ "?view=pairs&seconds=1", "seconds and view params are incompatible\n" },
		{ "?labels=locks", "invalid value for \"labels\" - allowed: thread, lock\n" },
		{ "?labels=thread,loc", "invalid value for \"labels\" - allowed: thread, lock\n" },
		{ "?seconds=0", "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "?seconds=1&debug=1", "seconds and debug params are incompatible\n" },
	};
	char target[128];

	(void)state;
	for (unsigned k = 0; k < COUNT_OF(kinds); k++)
		for (unsigned i = 0; i < COUNT_OF(cases); i++) {
			target_of(target, k, cases[i].query);
			assert_answer(target, 400, PLAIN, cases[i].error);
			assert_true(asked.x.reply.from_pprof);
		}
	/* An empty one is as if it were not there; others do not know it. */
	get("/debug/pprof/mutex?view=", "mutex");
	get("/debug/pprof/heap?view=pairs", "heap");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(they_are_contentions_and_delay_and_the_longest_is_first),
		TEST(an_unknown_holder_says_so),
		TEST(a_window_is_what_happened_in_it),
		TEST(locks_are_put_together_unless_asked_for),
		TEST(debug_1_is_gos_text),
		TEST(a_text_without_rows_is_its_head),
		TEST(pairs_say_who_waited_for_whom),
		TEST(pairs_without_names_are_addresses),
		TEST(without_pairs_there_is_the_head),
		TEST(bad_parameters_are_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
