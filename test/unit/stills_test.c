/* Since when a thread has not run: by its CPU clock, at two scans. */
#include "sampler/stills.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "sampler/limits.h"
#include "sampler/os.h"
#include "sampler/status.h"

/* A thread that sleeps until it is woken, says so, and sleeps again. */
static int wake[2], awake[2], tid;
static pthread_t sleeper;

static void *sleeps(void *unused)
{
	char byte = 0;

	tid = os_gettid();
	do
		if (write(awake[1], &byte, 1) != 1)
			break;
	while (read(wake[0], &byte, 1) == 1 && byte != 'e');
	return unused;
}

static void wait_for_it(void)
{
	struct status s;
	uint64_t before;
	char byte;

	assert_int_equal(read(awake[0], &byte, 1), 1);
	/* Until it sleeps: 20 ms without a ns of CPU time, and not because it waits for a CPU. */
	do {
		before = os_thread_cpu_ns(tid);
		assert_int_equal(usleep(20000), 0);
		assert_true(status_read(tid, &s));
	} while (s.state != 'S' || os_thread_cpu_ns(tid) != before);
}

static void wake_it(void)
{
	assert_int_equal(write(wake[1], "w", 1), 1);
	wait_for_it();
}

#define NOBODY (1 << 22)        /* above any tid: PID_MAX_LIMIT */

static struct still found[4];
static unsigned finds;

static void find(void *with, const struct still *still)
{
	assert_ptr_equal(with, found);
	found[finds++] = *still;
}

static unsigned look(void)
{
	finds = 0;
	stills_each(find, found);
	return finds;
}

static struct thread_slot *slot;

static int begin(void **state)
{
	(void)state;
	threads_init(STACK_DEPTH_DEFAULT);
	slot = threads_claim();
	if (slot == NULL || pipe(wake) < 0 || pipe(awake) < 0 ||
	    pthread_create(&sleeper, NULL, sleeps, NULL) != 0)
		return -1;
	wait_for_it();
	slot->tid = tid;
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(write(wake[1], "e", 1), 1);
	pthread_join(sleeper, NULL);
	threads_release(slot);
	for (unsigned i = 0; i < 2; i++)
		if (close(wake[i]) < 0 || close(awake[i]) < 0)
			return -1;
	return 0;
}

static void it_counts_from_the_first_scan_that_saw_its_clock_stand(void **state)
{
	(void)state;
	assert_int_equal(look(), 0);            /* no scan has met it */
	stills_meet(slot, tid, 1000);
	wake_it();
	stills_meet(slot, tid, 2000);
	stills_meet(slot, tid, 3000);
	assert_int_equal(look(), 1);
	assert_int_equal(found[0].tid, tid);
	assert_int_equal(found[0].cpu_ns, os_thread_cpu_ns(tid));
	assert_int_equal(found[0].since_ns, 2000);
}

static void another_thread_in_the_same_slot_begins_anew(void **state)
{
	(void)state;
	stills_meet(slot, tid, 1000);
	slot->tid = tid + 1;
	assert_int_equal(look(), 0);
	/* It had as much CPU time, by chance. */
	slot->tid = tid;
	slot->still_tid = tid + 1;
	stills_meet(slot, tid, 4000);
	assert_int_equal(look(), 1);
	assert_int_equal(found[0].since_ns, 4000);
}

static void one_that_has_gone_is_not_met(void **state)
{
	(void)state;
	slot->tid = NOBODY;
	stills_meet(slot, NOBODY, 1000);
	assert_int_equal(look(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_counts_from_the_first_scan_that_saw_its_clock_stand),
		TEST(another_thread_in_the_same_slot_begins_anew),
		TEST(one_that_has_gone_is_not_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
