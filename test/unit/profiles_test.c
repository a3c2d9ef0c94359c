/* The profiles as files: /heap, /allocs, /profile, whole and over a window. */
#include "fake/asked_files.h"

#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/sample.h"

#define ONE   ((uint64_t)RANDOM_WEIGHT_ONE)

/* malloc, called by work, called by main. */
static struct made_row *add_heap(uint64_t objects, uint64_t bytes, uint64_t freed, uint64_t gone)
{
	frame_t frame[] = { library_frame(LIBRARY_MALLOC), program_frame(PROGRAM_WORK),
			    program_frame(PROGRAM_MAIN) };
	struct made_row *r = made_add(GROUND_HEAP, made_stack(frame, 3), 48, 1);

	r->value[HEAP_ALLOC_OBJECTS] = objects * ONE;
	r->value[HEAP_ALLOC_BYTES] = bytes;
	r->value[HEAP_FREE_OBJECTS] = freed * ONE;
	r->value[HEAP_FREE_BYTES] = gone;
	r->value[HEAP_ALLOC_RAW] = 1;
	return r;
}

static struct made_row *add_cpu(uint64_t samples)
{
	frame_t frame[] = { program_frame(PROGRAM_WORK), program_frame(PROGRAM_MAIN) };
	struct made_row *r = made_add(GROUND_CPU, made_stack(frame, 2), 0, 1);

	r->value[CPU_SAMPLES] = samples;
	r->value[CPU_NANOSECONDS] = samples * 10000000;
	return r;
}

static void assert_types(const char *const (*want)[2], size_t n)
{
	assert_int_equal(profile->n_sample_type, n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(string_of(profile, profile->sample_type[i]->type), want[i][0]);
		assert_string_equal(string_of(profile, profile->sample_type[i]->unit), want[i][1]);
	}
}

static void assert_values(size_t sample, int64_t a, int64_t b, int64_t c, int64_t d)
{
	const int64_t want[] = { a, b, c, d };

	assert_true(sample < profile->n_sample);
	for (size_t i = 0; i < profile->n_sample_type; i++)
		assert_int_equal(profile->sample[sample]->value[i], want[i]);
}

/* "work main", leaf first. */
static void assert_stack(size_t sample, const char *want)
{
	const Pprofshim__Sample *s = profile->sample[sample];
	char got[512] = "";

	for (size_t i = 0; i < s->n_location_id; i++) {
		const Pprofshim__Location *l = profile->location[s->location_id[i] - 1];

		assert_int_equal(l->n_line, 1);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i > 0 ? " " : "",
			 string_of(profile, profile->function[l->line[0]->function_id - 1]->name));
	}
	assert_string_equal(got, want);
}

/* --- whole ----------------------------------------------------------------------------------- */

static const char *const heap_types[][2] = {
	{ "alloc_objects", "count" }, { "alloc_space", "bytes" },
	{ "inuse_objects", "count" }, { "inuse_space", "bytes" },
};

static void heap_is_what_was_allocated_and_what_is_live(void **state)
{
	uint64_t before = os_realtime_ns();

	(void)state;
	add_heap(5, 500, 2, 200);
	get("/debug/pprof/heap", "heap");
	assert_types(heap_types, 4);
	assert_int_equal(profile->n_sample, 1);
	assert_values(0, 5, 500, 3, 300);
	assert_string_equal(string_of(profile, profile->period_type->type), "space");
	assert_string_equal(string_of(profile, profile->period_type->unit), "bytes");
	assert_int_equal(profile->period, 512 << 10);
	assert_int_equal(profile->default_sample_type, 0);
	assert_in_range(profile->time_nanos, before, os_realtime_ns());
	assert_int_equal(profile->duration_nanos, 0);
	/* What is mapped is looked up when somebody asks. */
	assert_int_equal(made.refreshes, 1);
}

static void allocs_is_the_same_with_another_default(void **state)
{
	(void)state;
	add_heap(5, 500, 2, 200);
	get("/debug/pprof/allocs", "allocs");
	assert_types(heap_types, 4);
	assert_values(0, 5, 500, 3, 300);
	assert_string_equal(string_of(profile, profile->default_sample_type), "alloc_space");
}

static void the_program_is_mapping_1_and_knows_its_functions(void **state)
{
	(void)state;
	add_heap(5, 500, 2, 200);
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_mapping, 2);
	assert_string_equal(string_of(profile, profile->mapping[0]->filename), program_path);
	assert_true(profile->mapping[0]->has_functions);
	/* Of the library there is only the allocator, which is left out. */
	assert_false(profile->mapping[1]->has_functions);
	assert_int_equal(profile->n_location, 2);
	assert_int_equal(profile->location[0]->address, program_frame(PROGRAM_WORK));
	assert_int_equal(profile->location[0]->mapping_id, 1);
}

static void the_allocator_is_left_out_of_heap_stacks(void **state)
{
	frame_t only[] = { library_frame(LIBRARY_MALLOC), library_frame(LIBRARY_NEW) };
	frame_t below[] = { library_frame(LIBRARY_STRDUP), library_frame(LIBRARY_MALLOC) };

	(void)state;
	add_heap(1, 10, 0, 0);
	made_add(GROUND_HEAP, made_stack(only, 2), 16, 0)->value[HEAP_ALLOC_BYTES] = 20;
	made_add(GROUND_HEAP, made_stack(below, 2), 16, 0)->value[HEAP_ALLOC_BYTES] = 30;
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_sample, 3);
	assert_stack(0, "work main");
	assert_stack(1, "malloc operator new");
	assert_stack(2, "strdup malloc");
}

static void a_cut_stack_says_so(void **state)
{
	frame_t frame[] = { library_frame(LIBRARY_MALLOC), program_frame(PROGRAM_WORK),
			    FRAME_TRUNCATED };

	(void)state;
	made_add(GROUND_HEAP, made_stack(frame, 3), 16, 0)->value[HEAP_ALLOC_BYTES] = 20;
	get("/debug/pprof/heap", "heap");
	assert_stack(0, "work [truncated]");
	assert_int_equal(profile->location[1]->mapping_id, 0);
}

static void objects_are_rounded_to_whole_ones(void **state)
{
	struct made_row *r = add_heap(0, 100, 0, 0);

	(void)state;
	r->value[HEAP_ALLOC_OBJECTS] = 3 * ONE + ONE / 2;
	r->value[HEAP_FREE_OBJECTS] = 1 * ONE + 1;
	get("/debug/pprof/heap", "heap");
	assert_values(0, 4, 100, 2, 100);
}

static void assert_label(size_t sample, size_t label, const char *key, const char *str, int64_t num)
{
	const Pprofshim__Sample *s = profile->sample[sample];

	assert_true(label < s->n_label);
	assert_string_equal(string_of(profile, s->label[label]->key), key);
	assert_string_equal(string_of(profile, s->label[label]->str), str);
	assert_int_equal(s->label[label]->num, num);
	assert_int_equal(s->label[label]->num_unit, 0);
}

static void each_size_of_a_stack_is_a_sample_that_says_it(void **state)
{
	uint32_t stack = add_heap(1, 48, 0, 0)->key.stack;

	(void)state;
	made_add(GROUND_HEAP, stack, 96, 2)->value[HEAP_ALLOC_BYTES] = 96;
	made_add(GROUND_HEAP, stack, 96, 3)->value[HEAP_ALLOC_BYTES] = 96;
	made_add(GROUND_HEAP, stack, UINT32_MAX, 1)->value[HEAP_ALLOC_BYTES] = 1ll << 40;
	/* [evicted] has none. */
	made_add(GROUND_HEAP, stack, 0, 1)->value[HEAP_ALLOC_BYTES] = 7;
	add_cpu(1);
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_sample, 4);
	assert_values(0, 1, 48, 1, 48);
	assert_values(1, 0, 192, 0, 192);
	assert_label(0, 0, "bytes", "", 48);
	assert_label(1, 0, "bytes", "", 96);
	assert_label(2, 0, "bytes", "", UINT32_MAX);
	assert_int_equal(profile->sample[0]->n_label, 1);
	assert_int_equal(profile->sample[3]->n_label, 0);
}

static void threads_are_put_together_unless_asked_for(void **state)
{
	struct made_row *first = add_heap(1, 100, 0, 0), *second, *third;
	uint32_t stack = first->key.stack;

	(void)state;
	made.thread_name[1] = "first";
	made.thread_name[2] = "sec\xf6nd";
	second = made_add(GROUND_HEAP, stack, 48, 2);
	third = made_add(GROUND_HEAP, stack, 48, 0);
	second->value[HEAP_ALLOC_BYTES] = 10;
	third->value[HEAP_ALLOC_BYTES] = 1;
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_sample, 1);
	assert_values(0, 1, 111, 1, 111);
	assert_int_equal(profile->sample[0]->n_label, 1);
	get("/debug/pprof/heap?labels=thread", "heap");
	assert_int_equal(profile->n_sample, 3);
	assert_int_equal(profile->sample[0]->n_label, 2);
	assert_label(0, 0, "bytes", "", 48);
	assert_label(0, 1, "thread", "first", 0);
	assert_label(1, 1, "thread", "sec" BAD "nd", 0);
	/* A thread without a name is one without a label. */
	assert_int_equal(profile->sample[2]->n_label, 1);
	get("/debug/pprof/heap?labels=", "heap");
	assert_int_equal(profile->n_sample, 1);
	get("/debug/pprof/heap?labels=thread,&labels=none", "heap");
	assert_int_equal(profile->n_sample, 3);
}

static void labels_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"none", "lock", "threads", "threa", "thread,lock", "Thread", "thread,x",
		"thread%00",
		"thread-and-a-value-that-is-longer-than-anything-that-is-allowed-there",
	};
	static const char *const profiles[] = { "heap", "allocs", "profile" };
	char target[160];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(bad); i++)
		for (unsigned k = 0; k < COUNT_OF(profiles); k++) {
			snprintf(target, sizeof(target), "/debug/pprof/%s?seconds=1&labels=%s",
				 profiles[k], bad[i]);
			assert_answer(target, 400, "text/plain; charset=utf-8",
				      "invalid value for \"labels\" - allowed: thread\n");
			assert_true(asked.x.reply.from_pprof);
		}
}

static void what_was_given_up_is_said(void **state)
{
	(void)state;
	add_heap(1, 1, 0, 0);
	made.dropped[COUNT_HEAP_NO_ROOM] = 17;
	made.dropped[COUNT_LOG_LOST] = UINT64_MAX;
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_comment, 2);
	assert_string_equal(string_of(profile, profile->comment[0]), "heap_no_room: 17");
	assert_string_equal(string_of(profile, profile->comment[1]),
			    "log_lost: 18446744073709551615");
}

static void without_samples_a_profile_is_whole_all_the_same(void **state)
{
	(void)state;
	/* One that has counted nothing, and one nothing that is told. */
	add_heap(0, 0, 0, 0)->value[HEAP_ALLOC_RAW] = 0;
	add_heap(0, 0, 0, 0)->value[HEAP_ALLOC_RAW] = 1;
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_sample, 0);
	assert_types(heap_types, 4);
	assert_int_equal(profile->n_mapping, 2);
}

static void without_names_there_are_addresses(void **state)
{
	(void)state;
	asked.desk.names = false;
	add_heap(1, 1, 0, 0);
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_function, 0);
	/* Then nobody knows which frames are the allocator's. */
	assert_int_equal(profile->sample[0]->n_location_id, 3);
	assert_false(profile->mapping[0]->has_functions);
}

/* --- windows --------------------------------------------------------------------------------- */

static void live_on(void)
{
	made.row[GROUND_CPU][1].value[CPU_SAMPLES] += 7;
	made.row[GROUND_CPU][1].value[CPU_NANOSECONDS] += 70000000;
	add_cpu(2);
	made.row[GROUND_HEAP][1].value[HEAP_ALLOC_OBJECTS] += ONE;
	made.row[GROUND_HEAP][1].value[HEAP_ALLOC_BYTES] += 64;
	made.row[GROUND_HEAP][1].value[HEAP_FREE_OBJECTS] += 3 * ONE;
	made.row[GROUND_HEAP][1].value[HEAP_FREE_BYTES] += 300;
}

static void profile_is_the_cpu_time_of_its_window(void **state)
{
	static const char *const types[][2] = { { "samples", "count" }, { "cpu", "nanoseconds" } };
	uint64_t start = os_monotonic_ns();

	(void)state;
	add_cpu(1000);
	add_cpu(50);
	add_heap(5, 500, 0, 0);
	made.on_refresh = live_on;
	made.quiet_refreshes = 1;       /* at the beginning of the window */
	get("/debug/pprof/profile?seconds=1", "profile");
	assert_types(types, 2);
	/* Not the second one: it has used nothing.  The others are shown alike: one sample. */
	assert_int_equal(profile->n_sample, 1);
	assert_values(0, 9, 90000000, 0, 0);
	assert_stack(0, "work main");
	assert_string_equal(string_of(profile, profile->period_type->type), "cpu");
	assert_string_equal(string_of(profile, profile->period_type->unit), "nanoseconds");
	assert_int_equal(profile->period, 10000000);
	assert_int_equal(profile->default_sample_type, 0);
	assert_in_range(profile->duration_nanos, 1, os_monotonic_ns() - start);
}

static void sampled_faster(void)
{
	made.row[GROUND_CPU][1].value[CPU_SAMPLES] += 30;
	made.row[GROUND_CPU][1].value[CPU_NANOSECONDS] += 60000000;
	made.row[GROUND_CPU][2].value[CPU_SAMPLES] += 10;
	made.row[GROUND_CPU][2].value[CPU_NANOSECONDS] += 100000000;
}

/* Another client had its rate for a part of it. */
static void the_period_is_what_a_sample_stood_for(void **state)
{
	(void)state;
	add_cpu(1000);
	add_cpu(50);
	made.on_refresh = sampled_faster;
	made.quiet_refreshes = 1;
	get("/debug/pprof/profile?seconds=1", "profile");
	assert_int_equal(profile->period, 4000000);
	assert_values(0, 40, 160000000, 0, 0);
}

static void hz_is_the_rate_of_the_request(void **state)
{
	(void)state;
	add_cpu(1);
	get("/debug/pprof/profile?seconds=1&hz=500", "profile");
	assert_int_equal(made.raised_hz, 500);
	assert_int_equal(profile->period, 2000000);     /* also without a sample */
	window_close(&asked.x.window);
	assert_int_equal(made.raised_hz, 0);
	get("/debug/pprof/profile?seconds=1&hz=50", "profile");
	assert_int_equal(profile->period, 10000000);    /* it is sampled at 100 anyhow */
	window_close(&asked.x.window);
	get("/debug/pprof/profile?hz=", "profile");
	assert_int_equal(made.raised_hz, 0);
}

static void a_bad_hz_is_one_line(void **state)
{
	static const char *const bad[] = { "0", "-1", "1001", "1.5", "fast", "0x10", "100hz",
					   "99999999999999999999", "%20" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char target[128];

		snprintf(target, sizeof(target), "/debug/pprof/profile?seconds=1&hz=%s", bad[i]);
		assert_answer(target, 400, "text/plain; charset=utf-8",
			      "invalid value for \"hz\" - must be an integer from 1 to 1000\n");
		assert_true(asked.x.reply.from_pprof);
		assert_int_equal(made.raises, 0);
	}
}

static void the_period_follows_the_rate_and_is_never_zero(void **state)
{
	(void)state;
	add_cpu(1);
	made.rates.cpu_hz = 1000;
	get("/debug/pprof/profile", "profile");
	assert_int_equal(profile->period, 1000000);
	made.rates.cpu_hz = 0;
	get("/debug/pprof/profile", "profile");
	assert_int_equal(profile->period, 10000000);
}

static void a_delta_of_heap_is_what_happened_in_it(void **state)
{
	(void)state;
	add_cpu(1);
	add_heap(5, 500, 0, 0);
	made.on_refresh = live_on;
	made.quiet_refreshes = 1;
	get("/debug/pprof/heap?seconds=1", "heap-delta");
	assert_int_equal(profile->n_sample, 1);
	assert_values(0, 1, 64, -2, -236);
	assert_true(profile->duration_nanos > 0);
	get("/debug/pprof/allocs?seconds=1", "allocs-delta");
	assert_values(0, 1, 64, -2, -236);
	assert_string_equal(string_of(profile, profile->default_sample_type), "alloc_space");
}

static void seconds_and_debug_are_checked_as_go_does(void **state)
{
	static const struct { const char *query, *error; } cases[] = {
		{ "seconds=0", "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "seconds=-1", "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "seconds=x", "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "seconds=1.5", "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "seconds=99999999999999999999",
		  "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "seconds=x&debug=1",
		  "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "seconds=1&debug=1", "seconds and debug params are incompatible\n" },
		{ "debug=2&seconds=30", "seconds and debug params are incompatible\n" },
		{ "debug=-1&seconds=30", "seconds and debug params are incompatible\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char target[128];

		snprintf(target, sizeof(target), "/debug/pprof/heap?%s", cases[i].query);
		assert_answer(target, 400, "text/plain; charset=utf-8", cases[i].error);
		assert_true(asked.x.reply.from_pprof);
		assert_null(asked.x.reply.filename);
	}
}

/* --- ages ------------------------------------------------------------------------------------ */

/* At most 40 s: a machine may have been started a minute ago. */
static uint64_t ago(uint64_t seconds)
{
	return os_monotonic_ns() - seconds * 1000000000 - 500000000;
}

static void min_age_is_of_the_blocks_that_have_lived_so_long(void **state)
{
	static const char *const path[] = { "heap", "allocs" };

	(void)state;
	add_heap(500, 50000, 20, 2000);
	add_heap(5, 500, 2, 200);
	made_live(1, 100, 2 * ONE, ago(40));
	made_live(1, 100, ONE, ago(20));
	made_live(2, 300, ONE, ago(2));
	for (size_t i = 0; i < COUNT_OF(path); i++) {
		char target[64];

		snprintf(target, sizeof(target), "/debug/pprof/%s?min_age=10", path[i]);
		get(target, path[i]);
		assert_int_equal(profile->n_sample, 1);
		/* They were all allocated, and they are all there. */
		assert_values(0, 3, 300, 3, 300);
		assert_true(profile->duration_nanos == 0);
	}
	get("/debug/pprof/heap?min_age=30&debug=0&gc=1", "heap");
	assert_values(0, 2, 200, 2, 200);
	get("/debug/pprof/heap?min_age=41", "heap");
	assert_int_equal(profile->n_sample, 0);
	get("/debug/pprof/heap?min_age=9223372036854775807", "heap");
	assert_int_equal(profile->n_sample, 0);
	/* No value is none; nor does the CPU have any. */
	get("/debug/pprof/heap?min_age=", "heap");
	assert_values(0, 505, 50500, 483, 48300);
	get("/debug/pprof/profile?min_age=x", "profile");
}

static void a_text_has_the_old_blocks_alone(void **state)
{
	(void)state;
	add_heap(500, 50000, 20, 2000);
	made_live(1, 100, 2 * ONE, ago(40));
	made_live(1, 30, 2 * ONE, ago(2));
	assert_int_equal(ask("/debug/pprof/heap?debug=1&min_age=10"), 200);
	assert_memory_equal(asked.body, "heap profile: 1: 100 [1: 101] @ heap/1048576\n"
			    "1: 100 [1: 100] @ 0x", 64);
}

static void a_bad_min_age_is_one_line(void **state)
{
	static const char bad[] = "invalid value for \"min_age\" - must be a positive integer\n";
	static const char both[] = "seconds and min_age params are incompatible\n";
	static const struct { const char *query, *error; } cases[] = {
		{ "min_age=0", bad }, { "min_age=-1", bad }, { "min_age=x", bad },
		{ "min_age=1.5", bad }, { "min_age=5m", bad }, { "debug=1&min_age=x", bad },
		{ "min_age=99999999999999999999", bad }, { "seconds=1&min_age=x", bad },
		{ "seconds=1&min_age=1", both }, { "min_age=1&seconds=1", both },
		{ "min_age=1&seconds=x",
		  "invalid value for \"seconds\" - must be a positive integer\n" },
		{ "min_age=1&seconds=1&debug=1", "seconds and debug params are incompatible\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char target[128];

		snprintf(target, sizeof(target), "/debug/pprof/allocs?%s", cases[i].query);
		assert_answer(target, 400, "text/plain; charset=utf-8", cases[i].error);
		assert_true(asked.x.reply.from_pprof);
		assert_null(asked.x.reply.filename);
	}
}

static void parameters_that_go_takes_are_taken(void **state)
{
	static const struct { const char *query, *filename; } cases[] = {
		{ "seconds=", "heap" }, { "debug=0", "heap" }, { "debug=x", "heap" },
		{ "gc=1", "heap" }, { "gc=x", "heap" },
		{ "nonsense", "heap" }, { "seconds=1&debug=0", "heap-delta" },
		{ "seconds=9223372036854775807", "heap-delta" }, { "seconds=%31", "heap-delta" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char target[128];

		snprintf(target, sizeof(target), "/debug/pprof/heap?%s", cases[i].query);
		get(target, cases[i].filename);
	}
	get("/debug/pprof/profile?seconds=x", "profile");
	get("/debug/pprof/profile?seconds=-5", "profile");
}

static void a_head_opens_no_window_and_makes_no_body(void **state)
{
	static const struct { const char *target, *filename; } cases[] = {
		{ "/debug/pprof/profile?seconds=30", "profile" },
		{ "/debug/pprof/profile", "profile" },
		{ "/debug/pprof/heap?seconds=30", "heap-delta" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(ask_head(cases[i].target), 200);
		assert_string_equal(asked.x.reply.content_type, OCTET);
		assert_string_equal(asked.x.reply.filename, cases[i].filename);
		assert_true(asked.x.reply.length_unknown);
		assert_int_equal(asked.len, 0);
		assert_int_equal(made.refreshes, 0);
	}
	assert_int_equal(ask_head("/debug/pprof/heap?seconds=0"), 400);
	/* A snapshot's length is known. */
	assert_int_equal(ask_head("/debug/pprof/heap"), 200);
	assert_false(asked.x.reply.length_unknown);
	assert_true(asked.len > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(heap_is_what_was_allocated_and_what_is_live),
		TEST(allocs_is_the_same_with_another_default),
		TEST(the_program_is_mapping_1_and_knows_its_functions),
		TEST(the_allocator_is_left_out_of_heap_stacks),
		TEST(a_cut_stack_says_so),
		TEST(objects_are_rounded_to_whole_ones),
		TEST(each_size_of_a_stack_is_a_sample_that_says_it),
		TEST(threads_are_put_together_unless_asked_for),
		TEST(labels_that_are_none_are_refused),
		TEST(what_was_given_up_is_said),
		TEST(without_samples_a_profile_is_whole_all_the_same),
		TEST(without_names_there_are_addresses),
		TEST(profile_is_the_cpu_time_of_its_window),
		TEST(the_period_is_what_a_sample_stood_for),
		TEST(hz_is_the_rate_of_the_request),
		TEST(a_bad_hz_is_one_line),
		TEST(the_period_follows_the_rate_and_is_never_zero),
		TEST(a_delta_of_heap_is_what_happened_in_it),
		TEST(seconds_and_debug_are_checked_as_go_does),
		TEST(min_age_is_of_the_blocks_that_have_lived_so_long),
		TEST(a_text_has_the_old_blocks_alone),
		TEST(a_bad_min_age_is_one_line),
		TEST(parameters_that_go_takes_are_taken),
		TEST(a_head_opens_no_window_and_makes_no_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
