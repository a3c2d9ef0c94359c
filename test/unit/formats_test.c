/* format=, value=, symbolize= and inuse=, on whatever profile. */
#include "fake/asked_files.h"

#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/sample.h"

#define ONE   ((uint64_t)RANDOM_WEIGHT_ONE)
#define PLAIN "text/plain; charset=utf-8"
#define JSON  "application/json"

static void add_heap(unsigned leaf, uint64_t objects, uint64_t bytes, uint64_t freed, uint64_t gone)
{
	frame_t frame[] = { program_frame(leaf), program_frame(PROGRAM_MAIN) };
	struct made_row *r = made_add(GROUND_HEAP, made_stack(frame, 2), 48, 1);

	r->value[HEAP_ALLOC_OBJECTS] = objects * ONE;
	r->value[HEAP_ALLOC_BYTES] = bytes;
	r->value[HEAP_FREE_OBJECTS] = freed * ONE;
	r->value[HEAP_FREE_BYTES] = gone;
	r->value[HEAP_ALLOC_RAW] = objects;
	r->value[HEAP_ALLOC_RAW_BYTES] = bytes;
	r->value[HEAP_FREE_RAW] = freed;
	r->value[HEAP_FREE_RAW_BYTES] = gone;
}

static void add_locks(enum ground_profile which)
{
	frame_t frame[] = { program_frame(PROGRAM_WORK), program_frame(PROGRAM_MAIN) };
	struct made_row *r = made_add(which, made_stack(frame, 2), 0, 1);

	r->value[LOCKS_CONTENTIONS] = 3 * ONE;
	r->value[LOCKS_DELAY_NS] = 70;
}

static void in_the_window(void)
{
	frame_t frame[] = { program_frame(PROGRAM_WORK), program_frame(PROGRAM_MAIN) };
	struct made_row *r = made_add(GROUND_CPU, made_stack(frame, 2), 0, 1);

	made.on_refresh = NULL;
	r->value[CPU_SAMPLES] = 30;
	r->value[CPU_NANOSECONDS] = 300000000;
	r = made_add(GROUND_CPU, made_stack(frame + 1, 1), 0, 1);
	r->value[CPU_SAMPLES] = 10;
	r->value[CPU_NANOSECONDS] = 100000000;
}

/* In a window of CPU or wall clock, which begins with a refresh. */
static int begin_window(void **state)
{
	int failed = begin(state);

	made.quiet_refreshes = 1;
	made.on_refresh = in_the_window;
	return failed;
}

/* The n-th line of the answer, without its end. */
static const char *line(unsigned n)
{
	static char text[512];
	const char *at = asked.body;

	while (n-- > 0 && at != NULL)
		at = strchr(at, '\n') != NULL ? strchr(at, '\n') + 1 : NULL;
	snprintf(text, sizeof(text), "%.*s", at != NULL ? (int)strcspn(at, "\n") : 0,
		 at != NULL ? at : "");
	return text;
}

/* --- folded ---------------------------------------------------------------------------------- */

static void folded_has_the_default_value_or_another(void **state)
{
	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 2, 200);
	add_heap(PROGRAM_BOX, 9, 900, 9, 900);
	assert_answer("/debug/pprof/heap?format=folded", 200, PLAIN, "main;work 300\n");
	assert_null(asked.x.reply.filename);
	/* The greatest first. */
	assert_answer("/debug/pprof/allocs?format=folded", 200, PLAIN,
		      "main;ns::Box<3>::add 900\nmain;work 500\n");
	assert_answer("/debug/pprof/allocs?format=folded&value=alloc_objects", 200, PLAIN,
		      "main;ns::Box<3>::add 9\nmain;work 5\n");
	assert_answer("/debug/pprof/heap?format=folded&value=inuse_objects", 200, PLAIN,
		      "main;work 3\n");
	add_locks(GROUND_BLOCK);
	assert_answer("/debug/pprof/block?format=folded&labels=thread", 200, PLAIN,
		      "main;work 70\n");
	assert_answer("/debug/pprof/mutex?format=folded", 200, PLAIN, "");
}

static void a_name_cannot_pose_as_another_line_or_frame(void **state)
{
	(void)state;
	/* What the file says is not what a shell would let through. */
	unlink(program_path);
	made.module[1] = make_object((const char *const[]){ "a;b\nc 9", "w\xff" "\x7f",
							   "_ZN2ns3BoxILi3EE3addEi" },
				     3, program_path, PROGRAM_START);
	made.module[1].main = true;
	add_heap(PROGRAM_WORK, 1, 4, 0, 0);
	assert_answer("/debug/pprof/heap?format=folded", 200, PLAIN, "a,b?c 9;w" BAD "? 4\n");
	assert_int_equal(ask("/debug/pprof/heap?format=json"), 200);
	assert_non_null(strstr(asked.body,
			       "\"stack\": [\"w" BAD "\\u007f\", \"a;b\\nc 9\"]}]"));
	/* And in Go's text. */
	assert_int_equal(ask("/debug/pprof/heap?debug=1"), 200);
	assert_non_null(strstr(asked.body, "\tw" BAD "?+0x5\t"));
}

/* --- text ------------------------------------------------------------------------------------ */

static void text_is_what_debug_1_gives(void **state)
{
	char text[4096];

	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 2, 200);
	add_locks(GROUND_MUTEX);
	for (unsigned i = 0; i < 2; i++) {
		const char *name = (const char *[]){ "mutex", "threadcreate" }[i];
		char target[64];

		snprintf(target, sizeof(target), "/debug/pprof/%s?debug=1", name);
		assert_int_equal(ask(target), 200);
		snprintf(text, sizeof(text), "%s", asked.body);
		snprintf(target, sizeof(target), "/debug/pprof/%s?format=text", name);
		assert_answer(target, 200, PLAIN, text);
		assert_null(asked.x.reply.filename);
	}
	assert_int_equal(ask("/debug/pprof/heap?format=text"), 200);
	assert_string_equal(line(0), "heap profile: 3: 300 [5: 500] @ heap/1048576");
	assert_int_equal(ask("/debug/pprof/heap?format=text&seconds=1"), 200);
	assert_string_equal(line(0), "heap profile: 0: 0 [0: 1] @ heap/1048576");
}

static void a_time_as_text_is_counts_and_a_table(void **state)
{
	(void)state;
	assert_int_equal(ask("/debug/pprof/profile?format=text"), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_string_equal(line(0), "profile profile: total 40");
	assert_memory_equal(line(1), "# cpu 0.400000000 s in ", 23);
	assert_string_equal(line(3), "#     flat   flat%      cum    cum%");
	assert_string_equal(line(4), "#    0.300   75.0%    0.300   75.0%  work");
	assert_string_equal(line(5), "#    0.100   25.0%    0.400  100.0%  main");
	assert_string_equal(line(6), "");
	assert_string_equal(line(7), "30 @ 0x555500000016 0x555500000006");
	assert_string_equal(line(8), "# cpu 0.300000000 s, 75.0%");
	assert_memory_equal(line(9), "#\t0x555500000015\twork+0x5\t", 26);
	assert_string_equal(line(12), "10 @ 0x555500000006");
}

static void debug_means_nothing_where_go_ignores_it(void **state)
{
	(void)state;
	get("/debug/pprof/profile?debug=1", "profile");
	get("/debug/pprof/wall?debug=2&format=proto", "wall");
	get("/debug/pprof/profile?format=pprof", "profile");
}

/* The header follows the number, the body its meaning: Go has it so. */
static void below_zero_only_the_heap_is_a_text(void **state)
{
	static const char *const names[] = { "block", "mutex", "threadcreate", "goroutine" };
	char target[64];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		snprintf(target, sizeof(target), "/debug/pprof/%s?debug=-1", names[i]);
		assert_int_equal(ask(target), 200);
		assert_string_equal(asked.x.reply.content_type, PLAIN);
		assert_null(asked.x.reply.filename);
		assert_memory_equal(asked.body, "\x1f\x8b", 2);
	}
	assert_int_equal(ask("/debug/pprof/allocs?debug=-1"), 200);
	assert_memory_equal(asked.body, "heap profile: ", 14);
}

/* --- json ------------------------------------------------------------------------------------ */

static void json_has_all_that_the_file_has(void **state)
{
	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 2, 200);
	add_heap(PROGRAM_MAIN, 1, 8, 0, 0);
	made.thread_name[1] = "the \"one\"";
	made.dropped[COUNT_HEAP_NESTED] = 3;
	made.dropped[COUNT_LOG_LOST] = 4;
	assert_int_equal(ask("/debug/pprof/allocs?format=json&labels=thread"), 200);
	assert_string_equal(asked.x.reply.content_type, JSON);
	assert_null(asked.x.reply.filename);
	assert_memory_equal(line(0), "{\"version\": 1, \"profile\": \"allocs\", \"time_nanos\": 1",
			    51);
	assert_string_equal(strstr(line(0), ", \"duration"), ", \"duration_nanos\": 0,");
	assert_string_equal(line(1), "\"period_type\": {\"type\": \"space\", \"unit\": \"bytes\"}, "
				     "\"period\": 524288,");
	assert_string_equal(line(3), "\"default_sample_type\": \"alloc_space\",");
	assert_string_equal(line(4), "\"drops\": {\"heap_nested\": 3, \"log_lost\": 4},");
	assert_string_equal(line(5), "\"samples\": [");
	assert_string_equal(line(6), "{\"values\": [5, 500, 3, 300], \"labels\": {\"bytes\": 48, "
				     "\"thread\": \"the \\\"one\\\"\"}, "
				     "\"stack\": [\"work\", \"main\"]},");
	assert_string_equal(line(7), "{\"values\": [1, 8, 1, 8], \"labels\": {\"bytes\": 48, "
				     "\"thread\": \"the \\\"one\\\"\"}, "
				     "\"stack\": [\"main\", \"main\"]}],");
	assert_string_equal(line(8), "\"mappings\": [");
	assert_memory_equal(line(9), "{\"start\": \"0x555500000000\", \"limit\": \"0x", 39);
	assert_non_null(strstr(line(9), program_path));
	assert_non_null(strstr(line(10), library_path));
	assert_string_equal(line(11), "\"comments\": [");
	assert_string_equal(line(12), "]}");
}

static void json_has_what_is_gone_for_its_frames(void **state)
{
	frame_t frame[] = { GONE_START + 0x10 };

	(void)state;
	made_add(GROUND_HEAP, made_stack(frame, 1), 48, 1)->value[HEAP_ALLOC_BYTES] = 7;
	assert_int_equal(ask("/debug/pprof/heap?format=json&symbolize=none"), 200);
	assert_string_equal(line(6), "{\"values\": [0, 7, 0, 7], \"labels\": {\"bytes\": 48}, "
				     "\"stack\": [\"0x7e0000000010\"]}],");
	assert_string_equal(line(10), "{\"start\": \"0x7e0000000000\", "
				      "\"limit\": \"0x7e0000001000\", \"offset\": \"0x2000\", "
				      "\"file\": \"/gone/libgone.so.1\", "
				      "\"build_id\": \"0abcff\"}],");
}

static void json_without_samples_is_whole(void **state)
{
	static const char end_of_it[] = "\"}],\n\"comments\": [\n]}\n";

	(void)state;
	assert_int_equal(ask("/debug/pprof/threadcreate?format=json"), 200);
	assert_string_equal(asked.body + asked.len - strlen(end_of_it), end_of_it);
	assert_string_equal(line(5), "\"samples\": [");
	assert_string_equal(line(6), "],");
	assert_int_equal(ask("/debug/pprof/block?format=json&seconds=1"), 200);
	assert_string_equal(asked.body + asked.len - strlen(end_of_it), end_of_it);
	assert_null(strstr(asked.body, "\"duration_nanos\": 0,"));
}

/* --- symbolize ------------------------------------------------------------------------------- */

static void without_symbols_there_is_what_readers_need_for_their_own(void **state)
{
	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 2, 200);
	made.module[1].build_id_len = 2;
	made.module[1].build_id[0] = 0xab;
	get("/debug/pprof/heap?symbolize=none", "heap");
	made.module[1].build_id_len = 0;        /* its file has none */
	assert_int_equal(profile->n_function, 0);
	assert_int_equal(profile->n_location, 2);
	assert_int_equal(profile->location[0]->n_line, 0);
	assert_int_equal(profile->location[0]->address, 0x555500000015);
	assert_int_equal(profile->location[0]->mapping_id, 1);
	assert_string_equal(string_of(profile, profile->mapping[0]->filename), program_path);
	assert_string_equal(string_of(profile, profile->mapping[0]->build_id), "ab00");
	for (size_t i = 0; i < profile->n_mapping; i++)
		assert_false(profile->mapping[i]->has_functions);
	/* The next request has what is usual. */
	get("/debug/pprof/heap", "heap");
	assert_int_equal(profile->n_function, 2);
	assert_answer("/debug/pprof/heap?format=folded&symbolize=none", 200, PLAIN,
		      "0x555500000005;0x555500000015 300\n");
	/* And where none is usual. */
	asked.desk.names = false;
	assert_answer("/debug/pprof/heap?format=folded", 200, PLAIN,
		      "0x555500000005;0x555500000015 300\n");
	assert_answer("/debug/pprof/heap?format=folded&symbolize=names", 200, PLAIN,
		      "main;work 300\n");
}

/* Nobody could find a name for it later: it has what it always has. */
static void an_address_of_nothing_is_named_all_the_same(void **state)
{
	frame_t frame[] = { 0x1234, FRAME_TRUNCATED };

	(void)state;
	made_add(GROUND_HEAP, made_stack(frame, 2), 48, 1)->value[HEAP_ALLOC_BYTES] = 7;
	get("/debug/pprof/heap?symbolize=none", "heap");
	assert_int_equal(profile->n_location, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(profile->location[i]->mapping_id, 0);
		assert_int_equal(profile->location[i]->n_line, 1);
	}
	assert_string_equal(string_of(profile, profile->function[0]->name), "[anon]");
}

/* --- deltas ---------------------------------------------------------------------------------- */

static void free_most_and_allocate(void)
{
	made.on_refresh = NULL;
	made.row[GROUND_HEAP][1].value[HEAP_FREE_OBJECTS] = 4 * ONE;
	made.row[GROUND_HEAP][1].value[HEAP_FREE_BYTES] = 400;
	made.row[GROUND_HEAP][1].value[HEAP_ALLOC_OBJECTS] += 2 * ONE;
	made.row[GROUND_HEAP][1].value[HEAP_ALLOC_BYTES] += 20;
}

static void get_with_changes(const char *target, const char *filename)
{
	made.quiet_refreshes = made.refreshes + 1;
	made.on_refresh = free_most_and_allocate;
	get(target, filename);
}

static void assert_values(int64_t a, int64_t b, int64_t c, int64_t d)
{
	const int64_t want[] = { a, b, c, d };

	assert_int_equal(profile->n_sample, 1);
	assert_int_equal(profile->sample[0]->n_value, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(profile->sample[0]->value[i], want[i]);
}

static void what_is_in_use_may_stay_absolute_in_a_delta(void **state)
{
	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 0, 0);
	get_with_changes("/debug/pprof/heap?seconds=1", "heap-delta");
	assert_values(2, 20, -2, -380);
	made.row[GROUND_HEAP][1].value[HEAP_FREE_OBJECTS] = 0;
	made.row[GROUND_HEAP][1].value[HEAP_FREE_BYTES] = 0;
	get_with_changes("/debug/pprof/heap?seconds=1&inuse=absolute", "heap-delta");
	assert_values(2, 20, 5, 140);           /* of 9 and 540 so far */
	get_with_changes("/debug/pprof/allocs?seconds=1&inuse=difference", "allocs-delta");
	assert_values(2, 20, 2, 20);
}

static void a_delta_is_of_its_end(void **state)
{
	uint64_t before_ns;

	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 0, 0);
	made.quiet_refreshes = 1;
	made.on_refresh = free_most_and_allocate;
	before_ns = os_realtime_ns();
	get("/debug/pprof/heap?seconds=1", "heap-delta");
	/* Nobody waits here; but the time has gone on. */
	assert_true((uint64_t)(profile->time_nanos - profile->duration_nanos) + 1000000 >
		    before_ns);
	assert_true(profile->duration_nanos > 0);
}

static void what_happened_since_the_last_call_is_a_file_as_godeltaprofs(void **state)
{
	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 0, 0);
	add_locks(GROUND_MUTEX);
	get("/debug/pprof/delta_heap", "heap.pprof.gz");
	assert_values(5, 500, 5, 500);
	assert_true(profile->duration_nanos > 0);
	free_most_and_allocate();
	assert_int_equal(ask_head("/debug/pprof/delta_heap"), 200);
	assert_string_equal(asked.x.reply.filename, "heap.pprof.gz");
	assert_true(asked.x.reply.length_unknown);
	get("/debug/pprof/delta_heap?client=other", "heap.pprof.gz");
	assert_values(7, 520, 3, 120);
	assert_answer("/debug/pprof/delta_heap?format=folded&value=alloc_space", 200, PLAIN,
		      "main;work 20\n");
	/* Nothing new, but it is in use. */
	get("/debug/pprof/delta_heap?client=", "heap.pprof.gz");
	assert_values(0, 0, 3, 120);
	get("/debug/pprof/delta_mutex", "mutex.pprof.gz");
	assert_int_equal(profile->n_sample, 1);
	assert_int_equal(profile->sample[0]->value[1], 70);
	get("/debug/pprof/delta_mutex", "mutex.pprof.gz");
	assert_int_equal(profile->n_sample, 0);
	assert_int_equal(profile->n_sample_type, 2);
	get("/debug/pprof/delta_block", "block.pprof.gz");
	assert_answer("/debug/pprof/delta_heap?client=0123456789012345678901234567890123456789"
		      "012345678901234567890123", 400, PLAIN,
		      "invalid value for \"client\" - allowed: a name of 63 bytes at most\n");
	window_after_fork();
}

/* --- what cannot be -------------------------------------------------------------------------- */

#define NO_FORMAT "invalid value for \"format\" - allowed: proto, text, folded, json\n"
#define NO_DEBUG                                                                                   \
	"format and debug params are incompatible - allowed: format=text with debug, the others "  \
	"without\n"

static void what_cannot_be_is_one_line(void **state)
{
	static const char *const as[][2] = {
		{ "heap?format=svg", NO_FORMAT },
		{ "profile?format=Json", NO_FORMAT },
		{ "goroutine?format=json%00", NO_FORMAT },
		{ "delta_block?format=jsonjsonjsonjsonjsonjsonjson", NO_FORMAT },
		{ "heap?format=json&debug=1", NO_DEBUG },
		{ "mutex?format=proto&debug=2", NO_DEBUG },
		{ "goroutine?debug=-1&format=folded", NO_DEBUG },
		{ "heap?format=folded&value=delay",
		  "invalid value for \"value\" - allowed: alloc_objects, alloc_space, "
		  "inuse_objects, inuse_space\n" },
		{ "goroutine?format=folded&value=x",
		  "invalid value for \"value\" - allowed: goroutine\n" },
		{ "block?value=delay",
		  "\"value\" parameter is not supported for this format - allowed: "
		  "format=folded\n" },
		{ "wall?symbolize=lines",
		  "invalid value for \"symbolize\" - allowed: none, names (lines is not there "
		  "yet)\n" },
		{ "heap?symbolize=nones",
		  "invalid value for \"symbolize\" - allowed: none, names (lines is not there "
		  "yet)\n" },
		{ "heap?seconds=1&inuse=abs",
		  "invalid value for \"inuse\" - allowed: absolute, difference\n" },
		{ "mutex?view=pairs&format=json",
		  "format and view params are incompatible - allowed: format=text\n" },
		/* Go's checks come first. */
		{ "heap?seconds=1&debug=1&format=svg",
		  "seconds and debug params are incompatible\n" },
	};
	char target[128];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(as); i++) {
		snprintf(target, sizeof(target), "/debug/pprof/%s", as[i][0]);
		assert_answer(target, 400, PLAIN, as[i][1]);
		assert_true(asked.x.reply.from_pprof);
		assert_null(asked.x.reply.filename);
	}
	/* Empty ones are as if they were not there. */
	get("/debug/pprof/heap?format=&value=&symbolize=&inuse=", "heap");
}

/* A page more each time, until it is enough. */
static void without_memory_nothing_is_half(void **state)
{
	static const char *const targets[] = { "heap?format=json", "heap?format=folded",
					       "heap?symbolize=none", "delta_heap",
					       "heap?format=text", "goroutine?format=json" };
	char target[64];

	(void)state;
	add_heap(PROGRAM_WORK, 5, 500, 2, 200);
	for (unsigned i = 0; i < COUNT_OF(targets); i++) {
		unsigned failures = 0;

		snprintf(target, sizeof(target), "/debug/pprof/%s", targets[i]);
		for (asked.budget_bytes = 4096; ask(target) != 0 && asked.x.arena.failed;
		     asked.budget_bytes += 4096)
			failures++;
		assert_in_range(failures, 5, 500);
		assert_int_equal(asked.x.reply.status, 200);
		asked.budget_bytes = 0;
	}
	window_after_fork();
}

#define TEST(f)   cmocka_unit_test_setup_teardown(f, begin, end)
#define WINDOW(f) cmocka_unit_test_setup_teardown(f, begin_window, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(folded_has_the_default_value_or_another),
		TEST(a_name_cannot_pose_as_another_line_or_frame),
		TEST(text_is_what_debug_1_gives),
		WINDOW(a_time_as_text_is_counts_and_a_table),
		WINDOW(debug_means_nothing_where_go_ignores_it),
		TEST(below_zero_only_the_heap_is_a_text),
		TEST(json_has_all_that_the_file_has),
		TEST(json_has_what_is_gone_for_its_frames),
		TEST(json_without_samples_is_whole),
		TEST(without_symbols_there_is_what_readers_need_for_their_own),
		TEST(an_address_of_nothing_is_named_all_the_same),
		TEST(what_is_in_use_may_stay_absolute_in_a_delta),
		TEST(a_delta_is_of_its_end),
		TEST(what_happened_since_the_last_call_is_a_file_as_godeltaprofs),
		TEST(what_cannot_be_is_one_line),
		TEST(without_memory_nothing_is_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
