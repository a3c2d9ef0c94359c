/* goroutine, also called threads: as a file, as a text, as a dump, over a window. */
#include "fake/asked_files.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "httpd/thread_dump.h"
#include "sampler/os.h"
#include "sampler/sample.h"

#define PLAIN  "text/plain; charset=utf-8"
#define MINUTE UINT64_C(60000000000)

/* --- threads made to order ------------------------------------------------------------------- */

/* Of PI kind, its owner in it: one that has no symbol. */
static uint32_t held_word;

static struct made_thread *add(int tid, const char *name, enum look_how how)
{
	struct made_thread *t = made.thread;

	while (t->look.tid != 0)
		t++;
	t->look = (struct look){ .tid = tid, .how = how, .letter = 'S', .nr = -1,
				 .cpu_ns = 1000, .at_ns = 100 * MINUTE };
	strcpy(t->look.name, name);
	return t;
}

/* In `calls` of work's, main's and so on, leaf first. */
static struct made_thread *add_at(int tid, const char *name, enum look_how how, frame_t leaf)
{
	struct made_thread *t = add(tid, name, how);

	t->pc[0] = leaf;
	t->pc[1] = program_frame(PROGRAM_MAIN);
	t->look.depth = 2;
	return t;
}

static struct made_thread *add_waiting(int tid, const char *name, int64_t nr)
{
	struct made_thread *t = add_at(tid, name, LOOK_BLOCKED, program_frame(PROGRAM_WORK));

	t->look.nr = nr;
	return t;
}

static void add_birth(struct made_thread *t, int creator)
{
	frame_t frame[] = { program_frame(PROGRAM_BOX), program_frame(PROGRAM_MAIN) };

	t->birth = (struct thread_birth){ .creator = creator, .stack = made_stack(frame, 2) };
}

/* The dump behind the block of our own thread. */
static const char *rest_of(const char *target)
{
	char head[64];
	const char *rest;

	assert_int_equal(ask(target), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_null(asked.x.reply.filename);
	snprintf(head, sizeof(head), "goroutine %d [running]:\n", os_gettid());
	assert_memory_equal(asked.body, head, strlen(head));
	rest = strstr(asked.body, "\n\n");
	return rest != NULL ? rest + 1 : "";
}

static const char *dump(void)
{
	return rest_of("/debug/pprof/goroutine?debug=2");
}

/* What is said of tid, up to the end of its head. */
static const char *head_of(const char *text, int tid)
{
	static char head[256];
	char begin[32];
	const char *at;

	snprintf(begin, sizeof(begin), "\ngoroutine %d [", tid);
	at = strstr(text, begin);
	if (at == NULL)
		return "";
	snprintf(head, sizeof(head), "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
	return head;
}

/* --- the dump -------------------------------------------------------------------------------- */

static void it_is_gos_text(void **state)
{
	struct made_thread *t = add_waiting(100, "main one", SYS_read);
	char want[2048];

	(void)state;
	t = add_waiting(101, "other", SYS_futex);
	t->look.arg[0] = (uintptr_t)&held_word;
	t->look.arg[1] = FUTEX_LOCK_PI_PRIVATE;
	t->still = (struct still){ 101, 1000, 97 * MINUTE };
	add_birth(t, 100);
	held_word = 100;
	snprintf(want, sizeof(want),
		 "\ngoroutine 100 [IO wait]:\n"
		 "work(...)\n\t%s.s:0 +0x6\n"
		 "main(...)\n\t%s.s:0 +0x6\n"
		 "\ngoroutine 101 [sync.Mutex.Lock (0x%llx held by 100 main one), 3 minutes]:\n"
		 "work(...)\n\t%s.s:0 +0x6\n"
		 "main(...)\n\t%s.s:0 +0x6\n"
		 "created by ns::Box<3>::add in goroutine 100\n\t%s.s:0 +0x6\n",
		 program_path, program_path, (unsigned long long)(uintptr_t)&held_word,
		 program_path, program_path, program_path);
	assert_string_equal(dump(), want);
	assert_string_equal(rest_of("/debug/pprof/threads?debug=2"), want);
	assert_int_equal(made.lists_open, 0);
	assert_int_equal(made.rests, 2);
}

static void a_process_of_which_nothing_is_to_be_seen_has_us(void **state)
{
	(void)state;
	assert_string_equal(dump(), "");
	assert_memory_equal(asked.body + asked.len - 2, "1\n", 2);
}

static void minutes_count_while_it_has_not_run(void **state)
{
	static const struct { uint64_t cpu_ns, since; const char *head; } cases[] = {
		{ 1000, 98 * MINUTE + 1, "goroutine 100 [IO wait, 1 minutes]:" },
		{ 1000, 99 * MINUTE + 1, "goroutine 100 [IO wait]:" },
		{ 999, 50 * MINUTE, "goroutine 100 [IO wait]:" },       /* it ran since */
		{ 1000, 101 * MINUTE, "goroutine 100 [IO wait]:" },     /* met later than looked at */
	};
	struct made_thread *t = add_waiting(100, "", SYS_read);

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		t->still = (struct still){ 100, cases[i].cpu_ns, cases[i].since };
		assert_string_equal(head_of(dump(), 100), cases[i].head);
	}
	/* One that runs does not wait, whatever was seen. */
	t->look.how = LOOK_RUNNING;
	t->still = (struct still){ 100, 1000, 50 * MINUTE };
	assert_string_equal(head_of(dump(), 100), "goroutine 100 [running]:");
}

static void who_runs_is_asked_until_it_answers(void **state)
{
	struct made_thread *t = add_at(100, "", LOOK_RUNNING, program_frame(PROGRAM_WORK));

	(void)state;
	t->silent = 3;
	add_waiting(101, "", SYS_read);
	assert_non_null(strstr(dump(), "\ngoroutine 100 [running]:\nwork(...)\n"));
	assert_int_equal(made.looks, 5);        /* the other one is not asked again */
}

static void who_does_not_answer_is_reported_so(void **state)
{
	struct made_thread *t = add_at(100, "", LOOK_RUNNING, program_frame(PROGRAM_WORK));
	uint64_t begin_ns = os_monotonic_ns();

	(void)state;
	t->silent = UINT32_MAX;
	add_birth(t, 7);
	assert_non_null(strstr(dump(), "\ngoroutine 100 [running]:\n"
				       "\tgoroutine running on other thread; stack unavailable\n"
				       "created by ns::Box<3>::add in goroutine 7\n"));
	assert_true(os_monotonic_ns() - begin_ns >= THREAD_DUMP_WAIT_NS);
}

static void what_cannot_be_seen_is_said(void **state)
{
	(void)state;
	add(100, "", LOOK_HIDDEN);
	assert_string_equal(dump(), "\ngoroutine 100 [waiting (its system call is not to be had)]:\n"
				    "\tgoroutine running on other thread; stack unavailable\n");
}

static void who_has_ended_is_left_out(void **state)
{
	(void)state;
	add_waiting(100, "", SYS_read)->gone = true;
	add(101, "", LOOK_BLOCKED)->look.letter = 'Z';
	add_waiting(102, "", SYS_read);
	add_at(103, "", LOOK_RUNNING, program_frame(PROGRAM_WORK))->look.tid = os_gettid();
	assert_null(strstr(dump(), "goroutine 100 "));
	assert_null(strstr(asked.body, "goroutine 101 "));
	assert_string_equal(head_of(asked.body, 102), "goroutine 102 [IO wait]:");
	assert_null(strstr(strstr(asked.body, "\n\n"), "[running]"));
}

static void a_stack_that_was_cut_says_so(void **state)
{
	(void)state;
	add_waiting(100, "", SYS_read)->look.truncated = true;
	assert_non_null(strstr(dump(), "main(...)\n"));
	assert_string_equal(asked.body + asked.len - strlen("...additional frames elided...\n"),
			    "...additional frames elided...\n");
}

static void names_are_labels_if_asked_for(void **state)
{
	const char *text;

	(void)state;
	add_waiting(100, "plain/1._", SYS_read);
	add_waiting(101, "two \"words\"", SYS_read);
	add_waiting(102, "", SYS_read);
	text = rest_of("/debug/pprof/goroutine?debug=2&labels=thread");
	assert_string_equal(head_of(text, 100), "goroutine 100 [IO wait] {thread: plain/1._}:");
	assert_string_equal(head_of(text, 101),
			    "goroutine 101 [IO wait] {thread: \"two \\\"words\\\"\"}:");
	assert_string_equal(head_of(text, 102), "goroutine 102 [IO wait]:");
}

/* --- what readers would trip over -------------------------------------------------------------- */

static void odd_names_cannot_pose_as_something_else(void **state)
{
	static const struct made_symbol symbol[] = {
		{ "f<void (int (*)())>", 0, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "(anonymous namespace)::operator()", 16, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "operator/=%\n", 32, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	const struct made_elf how = { .full = symbol, .full_count = 3, .code_bytes = 4096 };
	struct made_thread *t = add_waiting(100, "", SYS_futex);

	(void)state;
	if (!made_module(&how, program_path, PROGRAM_START, &made.module[1]))
		abort();
	strcpy(made.module[1].path, "/a:1\n/b");
	t->look.arg[0] = (uintptr_t)&held_word;
	t->look.arg[1] = FUTEX_LOCK_PI_PRIVATE;
	t->pc[0] = PROGRAM_START + 5;
	t->pc[1] = PROGRAM_START + 16 + 5;
	t->pc[2] = PROGRAM_START + 32 + 5;
	t->look.depth = 3;
	held_word = 101;
	add_waiting(101, "a, [b](c)\n", SYS_read);
	dump();
	assert_non_null(strstr(head_of(asked.body, 100), " held by 101 a_ _b__c__)]:"));
	assert_null(strstr(asked.body, "/a:1"));
	/* Whose file has another name has no symbols: its frames are by offset. */
	assert_non_null(strstr(asked.body, "\t/a_1_/b.s:0 +0x"));
}

static void functions_keep_their_names_readable(void **state)
{
	static const struct made_symbol symbol[] = {
		{ "f<void (int (*)())>", 0, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "(anonymous namespace)::operator()", 16, 16, STT_FUNC, STB_GLOBAL, 0 },
		{ "operator/=%\n", 32, 16, STT_FUNC, STB_GLOBAL, 0 },
	};
	const struct made_elf how = { .full = symbol, .full_count = 3, .code_bytes = 4096 };
	struct made_thread *t = add_waiting(100, "", SYS_read);

	(void)state;
	if (!made_module(&how, program_path, PROGRAM_START, &made.module[1]))
		abort();
	for (unsigned i = 0; i < 3; i++)
		t->pc[i] = PROGRAM_START + 16 * i + 5;
	t->look.depth = 3;
	dump();
	assert_non_null(strstr(asked.body, "\nf<void {int {*}{}}>(...)\n"));
	assert_non_null(strstr(asked.body, "\n(anonymous namespace)::operator()(...)\n"));
	assert_non_null(strstr(asked.body, "\noperator_=__(...)\n"));
}

static void a_holder_that_is_not_here_is_said(void **state)
{
	struct made_thread *t = add_waiting(100, "", SYS_futex);
	char want[96];

	(void)state;
	t->look.arg[0] = (uintptr_t)&held_word;
	t->look.arg[1] = FUTEX_LOCK_PI_PRIVATE;
	held_word = 4242 | FUTEX_WAITERS;
	snprintf(want, sizeof(want),
		 "goroutine 100 [sync.Mutex.Lock (0x%llx held by 4242 not here)]:",
		 (unsigned long long)(uintptr_t)&held_word);
	assert_string_equal(head_of(dump(), 100), want);
	/* What is found by now need not be what it waited for; or nobody has it. */
	t->moved = true;
	snprintf(want, sizeof(want), "goroutine 100 [sync.Mutex.Lock (0x%llx)]:",
		 (unsigned long long)(uintptr_t)&held_word);
	assert_string_equal(head_of(dump(), 100), want);
	t->moved = false;
	held_word = 0;
	assert_string_equal(head_of(dump(), 100), want);
}

/* --- as a profile ---------------------------------------------------------------------------- */

static const char *leaf(size_t sample)
{
	const Pprofshim__Sample *s = profile->sample[sample];
	const Pprofshim__Location *l = profile->location[s->location_id[0] - 1];

	return string_of(profile, profile->function[l->line[0]->function_id - 1]->name);
}

static void add_groups(void)
{
	add_waiting(100, "first", SYS_read);
	add_at(101, "first", LOOK_RUNNING, program_frame(PROGRAM_BOX));
	add_waiting(102, "second", SYS_nanosleep);
	add_waiting(103, "first", SYS_read);
	add(104, "", LOOK_HIDDEN);
}

static void those_that_do_the_same_are_one_sample(void **state)
{
	(void)state;
	add_groups();
	get("/debug/pprof/goroutine", "goroutine");
	assert_int_equal(profile->n_sample_type, 1);
	assert_string_equal(string_of(profile, profile->sample_type[0]->type), "goroutine");
	assert_string_equal(string_of(profile, profile->sample_type[0]->unit), "count");
	assert_string_equal(string_of(profile, profile->period_type->type), "goroutine");
	assert_int_equal(profile->period, 1);
	assert_int_equal(profile->duration_nanos, 0);
	assert_true(profile->time_nanos > 0);
	assert_int_equal(profile->n_sample, 4);         /* one is ours */
	assert_string_equal(leaf(0), "work");
	assert_int_equal(profile->sample[0]->value[0], 3);
	assert_int_equal(profile->sample[0]->n_location_id, 2);
	assert_int_equal(profile->sample[0]->n_label, 0);
	assert_string_equal(leaf(1), "[stack unavailable]");
	assert_int_equal(profile->sample[1]->value[0], 1);
}

static void by_name_they_are_more(void **state)
{
	(void)state;
	add_groups();
	get("/debug/pprof/goroutine?labels=thread", "goroutine");
	assert_int_equal(profile->n_sample, 5);
	assert_int_equal(profile->sample[0]->value[0], 2);
	assert_int_equal(profile->sample[0]->n_label, 1);
	assert_string_equal(string_of(profile, profile->sample[0]->label[0]->key), "thread");
	assert_string_equal(string_of(profile, profile->sample[0]->label[0]->str), "first");
}

static void debug_1_is_gos_text(void **state)
{
	char want[1024];
	const char *rows;

	(void)state;
	add_groups();
	assert_int_equal(ask("/debug/pprof/goroutine?debug=1"), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	snprintf(want, sizeof(want),
		 "goroutine profile: total 6\n"
		 "3 @ 0x555500000016 0x555500000006\n"
		 "#\t0x555500000015\twork+0x5\t%s:0\n"
		 "#\t0x555500000005\tmain+0x5\t%s:0\n\n"
		 "1 @ 0xd\n#\t0xc\t[stack unavailable]+0x0\t?:0\n\n", program_path, program_path);
	assert_memory_equal(asked.body, want, strlen(want));
	assert_int_equal(ask("/debug/pprof/goroutine?debug=1&labels=thread"), 200);
	rows = strstr(asked.body, "2 @ 0x555500000016 0x555500000006\n"
				  "# labels: {\"thread\":\"first\"}\n#\t0x");
	assert_non_null(rows);
}

/* One goes, another comes, one does something else. */
static void live_on(void)
{
	made.thread[0].gone = true;
	made.thread[1].pc[0] = program_frame(PROGRAM_WORK);
	made.thread[2].pc[0] = program_frame(PROGRAM_BOX);
	made.thread[3].pc[0] = program_frame(PROGRAM_BOX);
}

static void a_window_is_who_came_and_went(void **state)
{
	(void)state;
	add_groups();
	made.on_refresh = live_on;
	made.quiet_refreshes = 1;
	get("/debug/pprof/goroutine?seconds=1", "goroutine-delta");
	/* work: 3 were, 1 is; Box: 1 was, 2 are; the rest is as it was. */
	assert_int_equal(profile->n_sample, 2);
	assert_string_equal(leaf(0), "ns::Box<3>::add");
	assert_int_equal(profile->sample[0]->value[0], 1);
	assert_string_equal(leaf(1), "work");
	assert_int_equal(profile->sample[1]->value[0], -2);
	assert_true(profile->duration_nanos > 0);
}

/* --- parameters, and no memory --------------------------------------------------------------- */

static void parameters_are_gos(void **state)
{
	(void)state;
	add_groups();
	assert_answer("/debug/pprof/goroutine?seconds=0", 400, PLAIN,
		      "invalid value for \"seconds\" - must be a positive integer\n");
	assert_answer("/debug/pprof/goroutine?seconds=1&debug=2", 400, PLAIN,
		      "seconds and debug params are incompatible\n");
	get("/debug/pprof/goroutine?debug=0", "goroutine");
	/* The same file, called a text. */
	assert_int_equal(ask("/debug/pprof/goroutine?debug=-1"), 200);
	assert_string_equal(asked.x.reply.content_type, PLAIN);
	assert_null(asked.x.reply.filename);
	assert_memory_equal(asked.body, "\x1f\x8b", 2);
	get("/debug/pprof/threads?debug=x", "goroutine");
	assert_int_equal(ask_head("/debug/pprof/goroutine?seconds=5"), 200);
	assert_string_equal(asked.x.reply.filename, "goroutine-delta");
	assert_true(asked.x.reply.length_unknown);
	assert_int_equal(asked.len, 0);
}

static void names_may_be_off(void **state)
{
	(void)state;
	add_waiting(100, "", SYS_read);
	asked.desk.names = false;
	assert_non_null(strstr(dump(), "\n0x555500000015(...)\n\t"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_gos_text),
		TEST(a_process_of_which_nothing_is_to_be_seen_has_us),
		TEST(minutes_count_while_it_has_not_run),
		TEST(who_runs_is_asked_until_it_answers),
		TEST(who_does_not_answer_is_reported_so),
		TEST(what_cannot_be_seen_is_said),
		TEST(who_has_ended_is_left_out),
		TEST(a_stack_that_was_cut_says_so),
		TEST(names_are_labels_if_asked_for),
		TEST(odd_names_cannot_pose_as_something_else),
		TEST(functions_keep_their_names_readable),
		TEST(a_holder_that_is_not_here_is_said),
		TEST(those_that_do_the_same_are_one_sample),
		TEST(by_name_they_are_more),
		TEST(debug_1_is_gos_text),
		TEST(a_window_is_who_came_and_went),
		TEST(parameters_are_gos),
		TEST(names_may_be_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
