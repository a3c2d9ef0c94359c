/* /wall and /debug/fgprof: as files and folded, by state and thread, and what is refused. */
#include "fake/asked_files.h"

#include "sampler/random.h"

#define ONE   ((uint64_t)RANDOM_WEIGHT_ONE)
#define PLAIN "text/plain; charset=utf-8"

static void add(uint32_t stack, enum wall_state state, uint16_t thread, uint64_t samples, uint64_t ns)
{
	struct made_row *r = made_add(GROUND_WALL, stack, 0, thread);

	r->key.labels = (uint16_t)state;
	r->value[WALL_SAMPLES] = samples;
	r->value[WALL_NANOSECONDS] = ns;
}

/* What happens in the window: work, called by main, runs and waits; main sleeps. */
static void passes(void)
{
	frame_t deep[] = { program_frame(PROGRAM_WORK), program_frame(PROGRAM_MAIN) };
	uint32_t work = made_stack(deep, 2), at_main = made_stack(deep + 1, 1);

	made.on_refresh = NULL;
	made.thread_name[1] = "one";
	made.thread_name[2] = "two";
	add(work, WALL_ON_CPU, 1, 3 * ONE + ONE / 2, 30);
	add(work, WALL_RUNNABLE, 1, ONE / 2, 5);
	add(work, WALL_ON_CPU, 2, 2 * ONE, 20);
	add(at_main, WALL_OFF_CPU, 1, 9 * ONE, 90);
	add(at_main, WALL_NO_STATE, 0, 0, 7);
}

static int begin_window(void **state)
{
	int result = begin(state);

	made.quiet_refreshes = 1;
	made.on_refresh = passes;
	return result;
}

static const char *leaf(size_t sample)
{
	const Pprofshim__Sample *s = profile->sample[sample];
	const Pprofshim__Location *l = profile->location[s->location_id[0] - 1];

	return string_of(profile, profile->function[l->line[0]->function_id - 1]->name);
}

/* The label of a sample, "" if it has none. */
static const char *label(size_t sample, const char *key)
{
	const Pprofshim__Sample *s = profile->sample[sample];

	for (size_t i = 0; i < s->n_label; i++)
		if (strcmp(string_of(profile, s->label[i]->key), key) == 0)
			return string_of(profile, s->label[i]->str);
	return "";
}

static void assert_has(const char *name, const char *state, const char *thread, int64_t samples,
		       int64_t ns)
{
	unsigned found = 0;

	for (size_t i = 0; i < profile->n_sample; i++)
		found += strcmp(leaf(i), name) == 0 && strcmp(label(i, "state"), state) == 0 &&
			 strcmp(label(i, "thread"), thread) == 0 &&
			 profile->sample[i]->value[0] == samples && profile->sample[i]->value[1] == ns;
	if (found != 1)
		fail_msg("%u of %s %s %s %d %d", found, name, state, thread, (int)samples, (int)ns);
}

static void it_has_the_types_of_fgprof(void **state)
{
	static const struct { const char *target, *file; int64_t period; } cases[] = {
		{ "/debug/pprof/wall?seconds=1", "wall", 10101010 },
		{ "/debug/fgprof", "fgprof", 10101010 },
		{ "/debug/fgprof?seconds=1&hz=1000&format=pprof", "fgprof", 1000000 },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		end(state);
		begin_window(state);
		get(cases[i].target, cases[i].file);
		assert_int_equal(profile->n_sample_type, 2);
		assert_string_equal(string_of(profile, profile->sample_type[0]->type), "samples");
		assert_string_equal(string_of(profile, profile->sample_type[0]->unit), "count");
		assert_string_equal(string_of(profile, profile->sample_type[1]->type), "time");
		assert_string_equal(string_of(profile, profile->sample_type[1]->unit), "nanoseconds");
		assert_string_equal(string_of(profile, profile->period_type->type), "wallclock");
		assert_string_equal(string_of(profile, profile->period_type->unit), "nanoseconds");
		assert_int_equal(profile->period, cases[i].period);
		assert_int_equal(profile->n_sample, 2);
		assert_has("work", "", "", 6, 55);
		assert_has("main", "", "", 9, 97);
		/* At the beginning and at the end, in two steps each. */
		assert_int_equal(made.settles, 4);
	}
}

static void states_and_threads_are_kept_apart_if_that_is_asked_for(void **state)
{
	(void)state;
	get("/debug/pprof/wall?labels=state", "wall");
	assert_int_equal(profile->n_sample, 4);
	assert_has("work", "on-cpu", "", 6, 50);        /* of 5.5 */
	assert_has("work", "runnable", "", 1, 5);       /* of 0.5 */
	assert_has("main", "off-cpu", "", 9, 90);
	assert_has("main", "", "", 0, 7);
	end(state);
	begin_window(state);
	get("/debug/pprof/wall?labels=thread,state", "wall");
	assert_int_equal(profile->n_sample, 5);
	assert_has("work", "on-cpu", "two", 2, 20);
}

static void folded_is_a_line_for_each_stack(void **state)
{
	(void)state;
	assert_answer("/debug/fgprof?format=folded", 200, PLAIN, "main 9\nmain;work 6\n");
	assert_null(asked.x.reply.filename);
}

static void folded_without_names_has_addresses(void **state)
{
	char want[128];

	(void)state;
	asked.desk.names = false;
	snprintf(want, sizeof(want), "0x%llx 97\n0x%llx;0x%llx 55\n",
		 (unsigned long long)frame_pc(program_frame(PROGRAM_MAIN)),
		 (unsigned long long)frame_pc(program_frame(PROGRAM_MAIN)),
		 (unsigned long long)frame_pc(program_frame(PROGRAM_WORK)));
	assert_answer("/debug/pprof/wall?format=folded", 200, PLAIN, want);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char hz[] = "invalid value for \"hz\" - must be an integer from 1 to 1000\n";

	(void)state;
	assert_answer("/debug/pprof/wall?hz=0", 400, PLAIN, hz);
	assert_answer("/debug/fgprof?hz=1001", 400, PLAIN, hz);
	assert_answer("/debug/fgprof?hz=ten", 400, PLAIN, hz);
	assert_answer("/debug/pprof/wall?format=foldedx", 400, PLAIN,
		      "invalid value for \"format\" - allowed: proto, text, folded, json\n");
	assert_answer("/debug/pprof/wall?labels=lock", 400, PLAIN,
		      "invalid value for \"labels\" - allowed: thread, state\n");
	assert_true(asked.x.reply.from_pprof);
	assert_answer("/debug/fgprof?seconds=0", 400, PLAIN,
		      "bad seconds: must be a positive integer\n");
	assert_answer("/debug/fgprof/", 404, PLAIN, "404 page not found\n");
	assert_int_equal(made.settles, 0);
}

static void a_head_opens_no_window(void **state)
{
	(void)state;
	assert_int_equal(ask_head("/debug/fgprof?seconds=10"), 200);
	assert_string_equal(asked.x.reply.filename, "fgprof");
	assert_true(asked.x.reply.length_unknown);
	assert_int_equal(ask_head("/debug/fgprof?format=folded"), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_int_equal(made.settles, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_window, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_has_the_types_of_fgprof),
		TEST(states_and_threads_are_kept_apart_if_that_is_asked_for),
		TEST(folded_is_a_line_for_each_stack),
		TEST(folded_without_names_has_addresses),
		TEST(what_cannot_be_is_refused),
		TEST(a_head_opens_no_window),
	};

	return cmocka_run_group_tests_name("serve_wall", tests, NULL, NULL);
}
