/* A lock that comes back when who has it was left. */
#include "sampler/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/crowd.h"
#include "sampler/self.h"
#include "sampler/threads.h"

static struct hold_lock lock;
static jmp_buf away;

static int begin(void **state)
{
	(void)state;
	memset(&lock, 0, sizeof(lock));
	return 0;
}

NOINLINE static enum hold_result take(bool thorough, bool leave)
{
	struct hold hold;
	enum hold_result as = hold_try(&lock, &hold, thorough);

	if (as != HOLD_BUSY && leave)
		longjmp(away, 1);
	if (as != HOLD_BUSY)
		hold_end(&lock, &hold);
	return as;
}

/* What was there is overwritten, as other calls would: all of it, and no sanitizer's zones about the
 * bytes are left out. */
NOINLINE __attribute__((no_sanitize_address)) static void use_stack(void)
{
	char bytes[4096];

	memset(bytes, 0x55, sizeof(bytes));
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

static void it_is_taken_once(void **state)
{
	struct hold hold;

	(void)state;
	assert_true(hold_is_free(&lock));
	assert_int_equal(hold_try(&lock, &hold, true), HOLD_TAKEN);
	assert_false(hold_is_free(&lock));
	/* As from a handler: deeper in the same stack, again and again. */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(take(true, false), HOLD_BUSY);
	hold_end(&lock, &hold);
	assert_true(hold_is_free(&lock));
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(take(false, false), HOLD_TAKEN);
}

static void on_signal(int sig)
{
	(void)sig;
	CROWD_DEMAND(take(true, false) == HOLD_BUSY);
}

/* Which may be higher than the frame that has it, and in the same stack even. */
static void a_handler_on_another_stack_finds_it_busy(void **state)
{
	static char elsewhere[16384];
	char here[16384];
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	(void)state;
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < 2; i++) {
		stack_t stack = { .ss_sp = i == 0 ? elsewhere : here, .ss_size = 16384 };
		struct hold hold;

		assert_int_equal(sigaltstack(&stack, NULL), 0);
		assert_int_equal(hold_try(&lock, &hold, false), HOLD_TAKEN);
		raise(SIGUSR1);
		hold_end(&lock, &hold);
	}
	sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
	signal(SIGUSR1, SIG_DFL);
	crowd_check();
}

static void who_has_left_leaves_it_to_the_next(void **state)
{
	(void)state;
	if (setjmp(away) == 0)
		(void)take(false, true);
	assert_false(hold_is_free(&lock));
	/* At the same depth at once, also if nobody has been there since. */
	assert_int_equal(take(false, false), HOLD_INHERITED);
	assert_int_equal(take(false, false), HOLD_TAKEN);
}

/* --- other threads --------------------------------------------------------------------------- */

static int pipe_to[2], pipe_from[2];

NOINLINE static void take_and_jump(void)
{
	if (setjmp(away) == 0)
		(void)take(false, true);
}

static void *leaves(void *arg)
{
	char c;

	(void)arg;
	threads_enter(NULL);
	take_and_jump();
	use_stack();
	(void)!write(pipe_from[1], "", 1);
	(void)!read(pipe_to[0], &c, 1);
	threads_leave();
	return NULL;
}

static void of_a_thread_that_left_others_inherit(void **state)
{
	pthread_t thread;
	char c;

	(void)state;
	assert_int_equal(pipe(pipe_to) | pipe(pipe_from), 0);
	assert_int_equal(pthread_create(&thread, NULL, leaves, NULL), 0);
	assert_int_equal(read(pipe_from[0], &c, 1), 1);
	/* Only who looks closely knows. */
	assert_int_equal(take(false, false), HOLD_BUSY);
	assert_int_equal(take(true, false), HOLD_INHERITED);
	assert_int_equal(write(pipe_to[1], "", 1), 1);
	pthread_join(thread, NULL);
}

static void *holds(void *arg)
{
	static struct hold hold;
	char c;

	(void)arg;
	(void)!write(pipe_from[1], hold_try(&lock, &hold, false) == HOLD_TAKEN ? "y" : "n", 1);
	(void)!read(pipe_to[0], &c, 1);
	return NULL;
}

/* Its mark is still there: it is static. */
static void a_thread_that_is_gone_has_left(void **state)
{
	pthread_t thread;
	char c;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, holds, NULL), 0);
	assert_int_equal(read(pipe_from[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(take(true, false), HOLD_BUSY);
	assert_int_equal(write(pipe_to[1], "", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(take(false, false), HOLD_BUSY);
	assert_int_equal(take(true, false), HOLD_INHERITED);
}

/* It runs on our stack and our thread-local data, and is killed with the lock. */
NOINLINE static void let_child_be_killed(void)
{
	pid_t child = vfork();

	if (child == 0) {
		struct hold hold;

		if (hold_try(&lock, &hold, false) == HOLD_TAKEN)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_false(hold_is_free(&lock));
}

static void a_vfork_child_that_is_killed_has_left(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	skip();         /* it makes a fork of it */
#endif
	let_child_be_killed();
	use_stack();
	assert_int_equal(take(false, false), HOLD_INHERITED);
}

static enum hold_result seen_by_thread;

static void *looks(void *arg)
{
	char c;

	(void)arg;
	(void)!read(pipe_from[0], &c, 1);
	seen_by_thread = take(true, false);
	(void)!write(pipe_to[1], "", 1);
	return NULL;
}

/* Of a thread that we have not seen, so it goes by its own id: a process of its own. */
NOINLINE static void let_child_hold(int *status)
{
	int tid = self.tid;
	pid_t child;

	self.tid = 0;
	child = vfork();
	if (child == 0) {
		struct hold hold;
		char c;
		bool taken = hold_try(&lock, &hold, false) == HOLD_TAKEN;

		(void)!write(pipe_from[1], "", 1);
		(void)!read(pipe_to[0], &c, 1);
		hold_end(&lock, &hold);
		_exit(!taken);
	}
	self.tid = tid;
	assert_int_equal(waitpid(child, status, 0), child);
}

static void a_vfork_child_that_lives_has_not_left(void **state)
{
	pthread_t thread;
	int status;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip();
#endif
	assert_int_equal(pthread_create(&thread, NULL, looks, NULL), 0);
	let_child_hold(&status);
	pthread_join(thread, NULL);
	assert_int_equal(status, 0);
	assert_int_equal(seen_by_thread, HOLD_BUSY);
}

/* --- many ------------------------------------------------------------------------------------ */

#define THREADS 8

static unsigned inside, sum;
static _Atomic unsigned taken;

static void take_often(unsigned who)
{
	(void)who;
	threads_enter(NULL);
	for (unsigned i = 0; i < 20000; i++) {
		struct hold hold;
		enum hold_result as = hold_try(&lock, &hold, i % 16 == 0);

		CROWD_DEMAND(as != HOLD_INHERITED);
		if (as != HOLD_TAKEN)
			continue;
		CROWD_DEMAND(inside++ == 0);
		sum++;
		taken++;
		inside--;
		hold_end(&lock, &hold);
	}
	threads_leave();
}

static void one_at_a_time(void **state)
{
	(void)state;
	crowd_run(THREADS, take_often);
	crowd_check();
	assert_int_equal(sum, taken);
	assert_true(taken > 20000);
}

static int init(void **state)
{
	(void)state;
	threads_init(16);
	threads_enter(NULL);
	return self.slot == NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_is_taken_once, begin),
		cmocka_unit_test_setup(a_handler_on_another_stack_finds_it_busy, begin),
		cmocka_unit_test_setup(who_has_left_leaves_it_to_the_next, begin),
		cmocka_unit_test_setup(of_a_thread_that_left_others_inherit, begin),
		cmocka_unit_test_setup(a_thread_that_is_gone_has_left, begin),
		cmocka_unit_test_setup(a_vfork_child_that_is_killed_has_left, begin),
		cmocka_unit_test_setup(a_vfork_child_that_lives_has_not_left, begin),
		cmocka_unit_test_setup(one_at_a_time, begin),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
