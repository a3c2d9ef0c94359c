#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "fake/sys_refused.h"
#include "httpd/job.h"
#include "sampler/compiler.h"
#include "sampler/os.h"

/* What jobs do is written down here: cmocka's asserts must not leave a job's stack. */
static char trace[1024];

static void note(char c)
{
	size_t n = strlen(trace);

	if (n + 1 < sizeof(trace))
		trace[n] = c;
}

static int begin(void **state)
{
	(void)state;
	memset(trace, 0, sizeof(trace));
	return 0;
}

/* Until this step has lasted long enough. */
static void work_a_step(void)
{
	uint64_t start = os_monotonic_ns();

	while (os_monotonic_ns() - start < JOB_STEP_NS + 100000)
		;
}

/* --- steps ----------------------------------------------------------------------------------- */

static void run_at_once(void *arg)
{
	note(*(const char *)arg);
}

static void a_job_runs_at_its_first_step_and_is_done(void **state)
{
	char name = 'a';
	struct job *job = job_new(run_at_once, &name);

	(void)state;
	assert_non_null(job);
	assert_string_equal(trace, "");
	assert_int_equal(job_wake_ns(job), 0);
	assert_true(job_step(job));
	assert_string_equal(trace, "a");
	job_free(job);
}

static void run_in_steps(void *arg)
{
	volatile char name = *(const char *)arg;

	for (char i = '0'; i < '4'; i++) {
		note(name);
		note(i);
		work_a_step();
		job_breathe();
	}
	note('!');
}

static void a_long_job_goes_on_where_it_was(void **state)
{
	char name = 'a';
	struct job *job = job_new(run_in_steps, &name);
	static const char *const traces[] = { "a0", "a0a1", "a0a1a2", "a0a1a2a3" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(traces); i++) {
		assert_false(job_step(job));
		assert_string_equal(trace, traces[i]);
		assert_int_equal(job_wake_ns(job), 0);
	}
	assert_true(job_step(job));
	assert_string_equal(trace, "a0a1a2a3!");
	job_free(job);
}

static void run_breathing_often(void *arg)
{
	(void)arg;
	/* Well below a step, but for a machine that is busy elsewhere. */
	for (int i = 0; i < 100; i++)
		job_breathe();
	note('.');
}

/* A breath is cheap where there is time left.  A busy machine may cut a job short now and then. */
static void a_short_job_is_not_cut(void **state)
{
	unsigned whole = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct job *job = job_new(run_breathing_often, NULL);

		whole += job_step(job);
		job_free(job);
	}
	assert_true(whole >= 10);
}

static void jobs_take_turns(void **state)
{
	char first = 'a', second = 'b';
	struct job *a = job_new(run_in_steps, &first), *b = job_new(run_in_steps, &second);

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_false(job_step(a));
		assert_false(job_step(b));
	}
	assert_true(job_step(b));
	assert_true(job_step(a));
	assert_string_equal(trace, "a0b0a1b1a2b2a3b3!!");
	job_free(a);
	job_free(b);
}

/* --- sleep ----------------------------------------------------------------------------------- */

static void run_sleeping(void *arg)
{
	note('a');
	job_sleep_until(*(const uint64_t *)arg);
	note('b');
	work_a_step();
	job_breathe();
	note('c');
}

static void a_sleeping_job_says_when_it_wants_to_go_on(void **state)
{
	uint64_t when = 12345678901234567u;
	struct job *job = job_new(run_sleeping, &when);

	(void)state;
	assert_false(job_step(job));
	assert_true(job_wake_ns(job) == when);
	assert_string_equal(trace, "a");
	/* It is the desk that keeps the time. */
	assert_false(job_step(job));
	assert_int_equal(job_wake_ns(job), 0);
	assert_string_equal(trace, "ab");
	assert_true(job_step(job));
	assert_string_equal(trace, "abc");
	job_free(job);
}

static void outside_of_a_job_nobody_waits(void **state)
{
	uint64_t start = os_monotonic_ns();

	(void)state;
	job_breathe();
	job_sleep_until(start + UINT64_C(3600000000000));
	assert_true(os_monotonic_ns() - start < UINT64_C(60000000000));
	/* And a job that has run leaves no trace of itself. */
	a_job_runs_at_its_first_step_and_is_done(state);
	job_breathe();
}

/* --- its stack ------------------------------------------------------------------------------- */

static NOINLINE unsigned depth_reached(unsigned depth)
{
	volatile char page[1000];

	memset((char *)(uintptr_t)page, (int)depth, sizeof(page));
	if (depth == 0)
		return 0;
	depth = depth_reached(depth - 1) + 1;
	return page[500] == (char)depth ? depth : 0;
}

static void run_deep(void *arg)
{
	/* 3/4 of the stack; sanitizers make frames larger. */
	*(unsigned *)arg = depth_reached(JOB_STACK_BYTES / 4 * 3 / 1100);
	work_a_step();
	job_breathe();
	*(unsigned *)arg += depth_reached(JOB_STACK_BYTES / 4 * 3 / 1100);
}

static void a_job_may_use_nearly_all_of_its_stack(void **state)
{
	unsigned reached = 0;
	struct job *job = job_new(run_deep, &reached);

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	assert_false(job_step(job));
	assert_true(job_step(job));
	assert_int_equal(reached, JOB_STACK_BYTES / 4 * 3 / 1100 * 2);
	job_free(job);
}

static void run_on_its_stack(void *arg)
{
	char here;

	*(uintptr_t *)arg = (uintptr_t)&here;
}

/* The page below is nobody's: a job that goes too deep faults, and writes over nothing. */
static void below_the_stack_is_a_guard(void **state)
{
	uintptr_t at = 0, low;
	struct job *job = job_new(run_on_its_stack, &at);
	char byte;

	(void)state;
	assert_true(job_step(job));
	assert_true(at < (uintptr_t)job && at > (uintptr_t)job - JOB_STACK_BYTES);
	low = ((uintptr_t)job & ~(uintptr_t)4095) + 4096 - JOB_STACK_BYTES;
	assert_int_equal(os_peek(&byte, low, 1), -EFAULT);
	assert_int_equal(os_peek(&byte, low + 4095, 1), -EFAULT);
	assert_int_equal(os_peek(&byte, low + 4096, 1), 1);
	job_free(job);
	assert_int_equal(os_peek(&byte, low + 4096, 1), -EFAULT);
	assert_int_equal(os_peek(&byte, (uintptr_t)job, 1), -EFAULT);
}

static void a_job_can_be_given_up_at_any_point(void **state)
{
	uint64_t when = UINT64_MAX;
	char name = 'a', byte;
	struct job *never = job_new(run_in_steps, &name), *half = job_new(run_in_steps, &name);
	struct job *asleep = job_new(run_sleeping, &when);

	(void)state;
	assert_false(job_step(half));
	assert_false(job_step(asleep));
	job_free(never);
	job_free(half);
	job_free(asleep);
	assert_int_equal(os_peek(&byte, (uintptr_t)never, 1), -EFAULT);
	assert_int_equal(os_peek(&byte, (uintptr_t)half, 1), -EFAULT);
	assert_int_equal(os_peek(&byte, (uintptr_t)asleep, 1), -EFAULT);
	/* The next one is not disturbed. */
	begin(state);
	a_job_runs_at_its_first_step_and_is_done(state);
}

static void without_memory_there_is_no_job(void **state)
{
	(void)state;
	sys_refuse(SYS_mmap, 1, -ENOMEM);
	assert_null(job_new(run_in_steps, NULL));
	sys_refuse(0, 0, 0);
}

/* --- what a switch must keep ----------------------------------------------------------------- */

static void run_with_doubles(void *arg)
{
	double *sum = arg;

	for (int i = 1; i <= 4; i++) {
		*sum += 1.0 / i;
		work_a_step();
		job_breathe();
	}
}

static void registers_and_signal_mask_are_each_ones_own(void **state)
{
	double sums[2] = { 0, 100 }, mine = 0.5;
	struct job *a = job_new(run_with_doubles, &sums[0]);
	struct job *b = job_new(run_with_doubles, &sums[1]);
	sigset_t blocked, now;

	(void)state;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(job_step(a), i == 4);
		mine *= 1.5;
		assert_int_equal(job_step(b), i == 4);
	}
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_true(sigismember(&now, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	assert_true(sums[0] == 1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0);
	assert_true(sums[1] == 100 + 1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0);
	assert_true(mine == 0.5 * 1.5 * 1.5 * 1.5 * 1.5 * 1.5);
	job_free(a);
	job_free(b);
}

static void many_jobs_can_wait_at_once(void **state)
{
	enum { MANY = 256 };
	static uint64_t when[MANY];
	static struct job *job[MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		when[i] = i + 1;
		job[i] = job_new(run_sleeping, &when[i]);
		assert_non_null(job[i]);
		assert_false(job_step(job[i]));
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(job_wake_ns(job[i]) == i + 1);
		job_free(job[i]);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_job_runs_at_its_first_step_and_is_done),
		TEST(a_long_job_goes_on_where_it_was),
		TEST(a_short_job_is_not_cut),
		TEST(jobs_take_turns),
		TEST(a_sleeping_job_says_when_it_wants_to_go_on),
		TEST(outside_of_a_job_nobody_waits),
		TEST(a_job_may_use_nearly_all_of_its_stack),
		TEST(below_the_stack_is_a_guard),
		TEST(a_job_can_be_given_up_at_any_point),
		TEST(without_memory_there_is_no_job),
		TEST(registers_and_signal_mask_are_each_ones_own),
		TEST(many_jobs_can_wait_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
