/* What looks say of threads whose state is known, and what they cost beside the files that say the
 * least. */
#include "sampler/looks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "sampler/asks.h"
#include "sampler/looks_files.h"
#include "sampler/modules_scan.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/threads.h"

#define FRAMES 64

/* --- texts ----------------------------------------------------------------------------------- */

static int call_of(const char *text, struct look *l)
{
	memset(l, 0, sizeof(*l));
	return looks_files_parse_call(text, strlen(text), l);
}

static void the_file_syscall_is_read(void **state)
{
	static const char *const wrong[] = {
		"", "-", "x", "7", "7 ", "7 0x1", "7 0x1 0x2 0x3 0x4 0x5 0x6 0x7fff", "-1 0x7 ",
		"7 1 2 3 4 5 6 7 8", "7 0x 0x2 0x3 0x4 0x5 0x6 0x7 0x8", "-1 0x1 0x",
	};
	struct look l;

	(void)state;
	assert_int_equal(call_of("running\n", &l), 0);
	assert_int_equal(call_of("202 0x7f 0x89 0x0 0x1 0xa 0xffffffff 0x7ffd4a09c218 0x7f9d2\n",
				 &l), 1);
	assert_int_equal(l.nr, 202);
	assert_int_equal(l.arg[0], 0x7f);
	assert_int_equal(l.arg[4], 10);
	assert_int_equal(l.arg[5], 0xffffffff);
	assert_int_equal(l.sp, 0x7ffd4a09c218);
	assert_int_equal(l.pc, 0x7f9d2);
	assert_int_equal(call_of("-1 0x7ffd 0x40\n", &l), 1);
	assert_int_equal(l.nr, -1);
	assert_int_equal(l.sp, 0x7ffd);
	assert_int_equal(l.pc, 0x40);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(call_of(wrong[i], &l), -EINVAL);
}

static void the_file_stat_is_read_whatever_the_name(void **state)
{
	static const struct { const char *text, *name; char letter; } cases[] = {
		{ "1 (a) S 2 3", "a", 'S' },
		{ "1 () R 2", "", 'R' },
		{ "12345 (x) R (y)) D 1 2", "x) R (y)", 'D' },
		{ "1 (\n \\n)) Z 1", "\n \\n)", 'Z' },
		{ "1 (0123456789abcdefXYZ) t 1", "0123456789abcde", 't' },
	};
	static const char *const wrong[] = { "", "1", "1 (", "1 (a", "1 (a)", "1 (a) ", "1 a) S" };
	struct look l;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(looks_files_parse_state(cases[i].text, strlen(cases[i].text), &l),
				 0);
		assert_string_equal(l.name, cases[i].name);
		assert_int_equal(l.letter, cases[i].letter);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(looks_files_parse_state(wrong[i], strlen(wrong[i]), &l), -EINVAL);
}

/* --- threads --------------------------------------------------------------------------------- */

static struct { _Atomic int tid; _Atomic bool over; int pipe[2]; } one;

static void on_sigprof(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	if (asks_is(info))
		asks_answer(info, uc);
}

static __attribute__((noinline)) void spin_here(void)
{
	while (!one.over)
		;
}

static void *spin(void *unused)
{
	(void)unused;
	threads_enter(NULL);
	one.tid = os_gettid();
	spin_here();
	threads_leave();
	return NULL;
}

static void *sleep_in_read(void *unused)
{
	char c;

	(void)unused;
	prctl(PR_SET_NAME, "reader");
	one.tid = os_gettid();
	(void)!read(one.pipe[0], &c, 1);
	return NULL;
}

static pthread_t begin(void *(*run)(void *))
{
	pthread_t thread;

	one.over = false;
	one.tid = 0;
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	while (one.tid == 0)
		sched_yield();
	return thread;
}

static void nap(long ns)
{
	struct timespec t = { 0, ns };

	nanosleep(&t, NULL);
}

/* Also when the kernel has let go of it, which is a moment later. */
static void end(pthread_t thread)
{
	pthread_join(thread, NULL);
	while (syscall(SYS_tgkill, getpid(), one.tid, 0) == 0)
		nap(1000000);
}

static void one_that_waits(void **state)
{
	uintptr_t pc[FRAMES];
	struct look l, again;
	pthread_t thread;

	(void)state;
	assert_int_equal(pipe(one.pipe), 0);
	thread = begin(sleep_in_read);
	while (looks_at(one.tid, &l, pc, FRAMES) != LOOK_BLOCKED || l.nr != SYS_read)
		nap(1000000);
	assert_int_equal(l.how, LOOK_BLOCKED);
	assert_int_equal(l.tid, one.tid);
	assert_int_equal(l.letter, 'S');
	assert_string_equal(l.name, "reader");
	assert_int_equal(l.arg[0], one.pipe[0]);
	assert_true(l.depth >= 2 && !l.truncated && pc[0] == l.pc);
	assert_true(looks_is_same(&l));
	assert_int_equal(looks_at(one.tid, &again, pc, 1), LOOK_BLOCKED);
	assert_int_equal(again.cpu_ns, l.cpu_ns);
	assert_true(again.truncated);
	assert_int_equal(again.depth, 1);
	(void)!write(one.pipe[1], "x", 1);
	end(thread);
	assert_false(looks_is_same(&l));
	assert_int_equal(looks_at(one.tid, &l, pc, FRAMES), LOOK_GONE);
}

/* The kernel counts it (schedstat); a thread that has gone says nothing about that. */
static void how_long_one_has_waited_for_a_cpu(void **state)
{
	int fd = open("/proc/thread-self/schedstat", O_RDONLY);
	unsigned long ran, waited = 0;
	char text[100] = "";

	(void)state;
	if (fd < 0) {
		assert_int_equal(looks_files_wait_ns(os_gettid()), 0);
		return;
	}
	assert_int_equal(looks_files_wait_ns(1 << 29), 0);
	while (waited == 0) {           /* others want this CPU, too, now and then */
		sched_yield();
		assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
		assert_int_equal(sscanf(text, "%lu %lu", &ran, &waited), 2);
	}
	close(fd);
	assert_true(looks_files_wait_ns(os_gettid()) >= waited);
}

static void one_that_runs(void **state)
{
	struct sigaction act = { .sa_sigaction = on_sigprof, .sa_flags = SA_SIGINFO | SA_RESTART };
	uintptr_t pc[FRAMES];
	pthread_t thread;
	struct look l;

	(void)state;
	sigaction(SIGPROF, &act, NULL);
	thread = begin(spin);
	assert_int_equal(looks_at(one.tid, &l, pc, FRAMES), LOOK_SILENT);
	while (looks_at(one.tid, &l, pc, FRAMES) != LOOK_RUNNING) {
		assert_int_equal(l.how, LOOK_SILENT);
		assert_false(looks_is_same(&l));
		nap(1000000);
	}
	assert_int_equal(l.nr, -1);
	/* Not twice. */
	assert_int_equal(looks_at(one.tid, &l, pc, FRAMES), LOOK_SILENT);
	one.over = true;
	end(thread);
	assert_int_equal(looks_at(one.tid, &l, pc, FRAMES), LOOK_GONE);
	assert_int_equal(looks_at(os_gettid(), &l, pc, FRAMES), LOOK_SILENT);
	looks_rest();
}

/* The child's main thread has left; its other one looks at it, and has it listed. */
static void *look_at_main(void *unused)
{
	struct timespec t = { 0, 1000000 };
	struct looks_list list;
	uintptr_t pc[FRAMES];
	struct look l;
	int tid[FRAMES], seen = 0;
	long n;

	(void)unused;
	do
		nanosleep(&t, NULL);
	while (looks_at(os_getpid(), &l, pc, FRAMES) != LOOK_BLOCKED || l.letter != 'Z');
	if (l.nr != -1 || l.depth != 0 || looks_list_open(&list) < 0)
		_exit(1);
	while ((n = looks_list_step(&list, tid, 1)) > 0)
		seen += tid[0] == os_gettid() || tid[0] == os_getpid();
	looks_list_close(&list);
	_exit(n == 0 && seen == 2 ? 0 : 2);
}

static void main_that_has_left(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, look_at_main, NULL);
		pthread_exit(NULL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* A program that is not dumpable owns none of its files, if it is not root's. */
static void what_is_hidden_is_said(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		uintptr_t pc[FRAMES];
		struct look l;

		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(geteuid() == 0 ? 1 : 0);
		one.pipe[0] = 0;
		if (pipe(one.pipe) < 0)
			_exit(2);
		begin(sleep_in_read);
		prctl(PR_SET_DUMPABLE, 0);
		do
			nap(1000000);
		while (looks_at(one.tid, &l, pc, FRAMES) == LOOK_SILENT);
		_exit(l.how == LOOK_HIDDEN && l.letter == 'S' && l.depth == 0 &&
			      strcmp(l.name, "reader") == 0
			      ? 0
			      : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* --- the price ------------------------------------------------------------------------------- */

#define CROWD 200

static void *stand(void *unused)
{
	char c;

	(void)unused;
	(void)!read(one.pipe[0], &c, 1);
	return NULL;
}

static uint64_t time_file(int tid)
{
	uint64_t begin = os_monotonic_ns();
	char path[64], text[512];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = os_open_read(path);
	assert_true(os_read(fd, text, sizeof(text)) > 0);
	os_close(fd);
	return os_monotonic_ns() - begin;
}

static uint64_t time_look(int tid)
{
	uint64_t begin = os_monotonic_ns();
	uintptr_t pc[FRAMES];
	struct look l;

	(void)looks_at(tid, &l, pc, FRAMES);
	return os_monotonic_ns() - begin;
}

static uint64_t least(uint64_t (*f)(int tid), int tid)
{
	uint64_t least = UINT64_MAX;

	for (int turn = 0; turn < 30; turn++) {
		uint64_t ns = f(tid);

		least = ns < least ? ns : least;
	}
	return least;
}

/* A dump may take 20 times what their files alone take: looking is to be a part of that.  The least
 * of many turns for each, so that other programs do not count. */
static void a_look_takes_a_few_times_what_a_file_takes(void **state)
{
	uint64_t files = 0, looks = 0;
	pthread_t thread[CROWD];
	struct looks_list list;
	int tid[CROWD + 1];
	long n;

	(void)state;
	assert_int_equal(pipe(one.pipe), 0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, stand, NULL), 0);
	nap(50000000);
	assert_int_equal(looks_list_open(&list), 0);
	n = looks_list_step(&list, tid, CROWD + 1);
	assert_int_equal(n, CROWD + 1);
	assert_int_equal(looks_list_step(&list, tid, CROWD + 1), 0);
	looks_list_close(&list);
	assert_int_equal(looks_list_step(&list, tid, 1), -EBADF);
	for (long i = 0; i < n; i++) {
		files += least(time_file, tid[i]);
		looks += least(time_look, tid[i]);
	}
	print_message("files %lu us, looks %lu us\n", files / 1000, looks / 1000);
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
	assert_true(looks < 10 * files);
#endif
#endif
	for (int i = 0; i < CROWD; i++)
		(void)!write(one.pipe[1], "x", 1);
	for (int i = 0; i < CROWD; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_syscall_is_read),
		cmocka_unit_test(the_file_stat_is_read_whatever_the_name),
		cmocka_unit_test(one_that_waits),
		cmocka_unit_test(how_long_one_has_waited_for_a_cpu),
		cmocka_unit_test(one_that_runs),
		cmocka_unit_test(main_that_has_left),
		cmocka_unit_test(what_is_hidden_is_said),
		cmocka_unit_test(a_look_takes_a_few_times_what_a_file_takes),
	};

	threads_init(FRAMES);
	if (modules_scan(true) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
