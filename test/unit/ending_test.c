/* Who ends the process, while another thread makes a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "httpd/ending.h"
#include "sampler/os.h"

#define ROUNDS 50

static _Atomic bool inside;

/* As our thread: it does not hurry because of an end. */
static void *make_file(void *unused)
{
	if (!ending_enter())
		return unused;
	inside = true;
	while (!ending_begun())
		sched_yield();
	(void)!os_sleep(1000000);
	inside = false;
	ending_leave();
	return unused;
}

/* A wait that has taken its whole time may have given up: the machine is slow.  One that has not
 * must have seen the file finished. */
static void the_end_waits_for_what_is_under_way(void **state)
{
	unsigned waited = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t began;
		pthread_t t;

		ending_after_fork();
		assert_int_equal(pthread_create(&t, NULL, make_file, NULL), 0);
		while (!inside)
			sched_yield();
		began = os_monotonic_ns();
		ending_wait();
		if (os_monotonic_ns() - began < ENDING_WAIT_NS) {
			assert_false(inside);
			waited++;
		}
		pthread_join(t, NULL);
	}
	print_message("%u of %u in time\n", waited, ROUNDS);
}

static void nothing_is_begun_after_it(void **state)
{
	(void)state;
	ending_after_fork();
	assert_false(ending_begun());
	assert_true(ending_enter());
	ending_leave();
	ending_wait();
	assert_true(ending_begun());
	assert_false(ending_enter());
	ending_wait();
}

/* Somebody who never leaves, as on a file system that hangs. */
static void it_waits_no_longer_than_it_may(void **state)
{
	uint64_t began = os_monotonic_ns();

	(void)state;
	ending_after_fork();
	assert_true(ending_enter());
	ending_wait();
	assert_true(os_monotonic_ns() - began >= ENDING_WAIT_NS);
}

static void a_fork_child_lives(void **state)
{
	(void)state;
	ending_wait();
	ending_after_fork();
	assert_true(ending_enter());
	ending_leave();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_waits_for_what_is_under_way),
		cmocka_unit_test(nothing_is_begun_after_it),
		cmocka_unit_test(it_waits_no_longer_than_it_may),
		cmocka_unit_test(a_fork_child_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
