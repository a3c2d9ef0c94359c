#include "sampler/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sampler/os.h"

/* As Linux 6.1 writes it, shortened. */
static const char text[] = "Name:\tSigBlk: ffff\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t77\n"
			   "Groups:\t0 1/2 \nThreads:\t3\nSigQ:\t12/96365\n"
			   "SigPnd:\t0000000004000000\nShdPnd:\t0000000000000002\n"
			   "SigBlk:\tfffffffe7ffbfeff\nSigIgn:\t0000000000000000\n";

static void all_fields_are_read(void **state)
{
	struct status s;

	(void)state;
	assert_true(status_parse(text, sizeof(text) - 1, &s));
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.queued, 12);
	assert_int_equal(s.queue_max, 96365);
	assert_true(s.pending == 0x4000000);
	assert_true(s.blocked == 0xfffffffe7ffbfeff);
}

/* The end of a number must be seen: half a mask would be another mask. */
static void a_text_that_is_cut_is_not_believed(void **state)
{
	size_t needed = (size_t)(strstr(text, "\nSigIgn") - text) + 1;
	struct status s;

	(void)state;
	for (size_t n = 0; n < needed; n++)
		assert_false(status_parse(text, n, &s));
	assert_true(status_parse(text, needed, &s));
}

static void the_kernel_writes_what_we_read(void **state)
{
	sigset_t mine, before;
	struct status s;

	(void)state;
	sigemptyset(&mine);
	sigaddset(&mine, SIGPROF);
	sigaddset(&mine, SIGHUP);
	pthread_sigmask(SIG_SETMASK, &mine, &before);
	pthread_kill(pthread_self(), SIGHUP);
	assert_true(status_read(0, &s));
	assert_int_equal(s.state, 'R');
	assert_int_equal(s.blocked, 1u << (SIGPROF - 1) | 1u << (SIGHUP - 1));
	assert_int_equal(s.pending, 1u << (SIGHUP - 1));
	assert_true(s.queue_max > 0);
	signal(SIGHUP, SIG_IGN);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int ends[2], tid_pipe[2];

static void *waits(void *unused)
{
	int tid = os_gettid();
	char byte;

	prctl(PR_SET_NAME, "State:\tR");
	if (write(tid_pipe[1], &tid, sizeof(tid)) == sizeof(tid))
		(void)!read(ends[0], &byte, 1);
	return unused;
}

static void another_thread_is_found_by_its_number(void **state)
{
	struct status s;
	pthread_t t;
	int tid;

	(void)state;
	assert_int_equal(pipe(ends) | pipe(tid_pipe), 0);
	assert_int_equal(pthread_create(&t, NULL, waits, NULL), 0);
	assert_int_equal(read(tid_pipe[0], &tid, sizeof(tid)), sizeof(tid));
	do
		assert_true(status_read(tid, &s));
	while (s.state != 'S');
	assert_int_equal(write(ends[1], "", 1), 1);
	pthread_join(t, NULL);
	while (status_read(tid, &s))
		usleep(1000);           /* the kernel lets go of it a moment later */
	assert_false(status_read(1 << 29, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields_are_read),
		cmocka_unit_test(a_text_that_is_cut_is_not_believed),
		cmocka_unit_test(the_kernel_writes_what_we_read),
		cmocka_unit_test(another_thread_is_found_by_its_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
