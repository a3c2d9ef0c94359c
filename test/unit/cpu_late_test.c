#include "sampler/cpu_late.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sampler/compiler.h"
#include "sampler/os.h"

#define THREADS 2000
#define APART   1000000000u     /* ns: nobody comes so soon after another by chance */

static struct thread_slot *thread[THREADS];
static unsigned rings, armed;
static bool is_armed[THREADS];

static void ring(void) { rings++; }

static void arm(struct thread_slot *slot)
{
	armed++;
	for (unsigned i = 0; i < THREADS; i++)
		if (thread[i] == slot)
			is_armed[i] = true;
}

/* One that is born, so long after the last one. */
static bool birth(unsigned i, uint64_t after_ns)
{
	static uint64_t now = UINT64_C(1) << 40;

	now += after_ns;
	if (thread[i] != NULL)
		threads_release(thread[i]);
	thread[i] = threads_claim();
	thread[i]->tid = (int)(1000000 + i);
	thread[i]->born_ns = now;
	is_armed[i] = false;
	return cpu_late_join(thread[i]);
}

/* Until nobody waits: returns how often it had to come. */
static unsigned go_on(void)
{
	unsigned n = 0;
	uint64_t when;

	while ((when = cpu_late_go(arm)) != UINT64_MAX) {
		uint64_t now = os_monotonic_ns();

		if (when > now)
			(void)!os_sleep(when - now);
		n++;
	}
	return n;
}

static int begin(void **state)
{
	(void)state;
	cpu_late_open(ring, arm);
	rings = armed = 0;
	return 0;
}

static void who_comes_alone_makes_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_false(birth(i, APART));
	assert_int_equal(rings, 0);
	assert_int_equal(cpu_late_go(arm), UINT64_MAX);
}

static void of_those_that_come_together_the_first_makes_its_own_and_the_second_rings(void **state)
{
	uint64_t began, when, again;

	(void)state;
	assert_false(birth(0, APART));
	for (unsigned i = 1; i < 10; i++)
		assert_true(birth(i, 1000));
	assert_int_equal(rings, 1);
	began = os_monotonic_ns();
	when = cpu_late_go(arm);
	assert_in_range(when, began + 1000000, UINT64_MAX - 1);
	assert_int_equal(armed, 0);             /* not yet */
	again = cpu_late_go(arm);
	if (os_monotonic_ns() < when) {         /* else we were held up for two milliseconds */
		assert_int_equal(again, when);
		assert_int_equal(armed, 0);
	}
	assert_in_range(go_on(), 0, 3);
	assert_int_equal(armed, 9);
	for (unsigned i = 1; i < 10; i++)
		assert_true(is_armed[i]);
	assert_false(birth(0, APART));
	assert_true(birth(1, 1000));
	assert_int_equal(rings, 2);             /* it sleeps again: it must be woken */
	go_on();
	assert_true(is_armed[1]);
}

static void who_has_ended_or_has_its_timer_gets_none(void **state)
{
	(void)state;
	assert_false(birth(0, APART));
	for (unsigned i = 1; i < 6; i++)
		assert_true(birth(i, 1000));
	thread[2]->tid = 0;
	threads_release(thread[3]);
	thread[3] = NULL;
	thread[4]->timer = 7;
	go_on();
	assert_int_equal(armed, 2);
	assert_true(is_armed[1] && is_armed[5]);
	thread[4]->timer = 0;
}

/* More than there are places for, before our thread comes. */
static void who_finds_no_place_makes_its_own(void **state)
{
	unsigned own = 0;

	(void)state;
	assert_false(birth(0, APART));
	for (unsigned i = 1; i < THREADS; i++)
		own += !birth(i, 1000);
	assert_in_range(own, 1, THREADS - 2);
	go_on();
	assert_int_equal(armed, THREADS - 1 - own);
}

static void when_our_thread_goes_nobody_is_left_without(void **state)
{
	(void)state;
	assert_false(birth(0, APART));
	assert_true(birth(1, 1000));
	assert_true(birth(2, 1000));
	cpu_late_open(NULL, arm);
	assert_int_equal(armed, 2);
	assert_false(birth(3, 1000));
}

static void a_fork_child_waits_for_nobody(void **state)
{
	(void)state;
	assert_false(birth(0, APART));
	assert_true(birth(1, 1000));
	cpu_late_after_fork();
	assert_false(birth(2, 1000));
	cpu_late_open(ring, arm);
	assert_int_equal(armed, 0);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_comes_alone_makes_its_own),
		TEST(of_those_that_come_together_the_first_makes_its_own_and_the_second_rings),
		TEST(who_has_ended_or_has_its_timer_gets_none),
		TEST(who_finds_no_place_makes_its_own),
		TEST(when_our_thread_goes_nobody_is_left_without),
		TEST(a_fork_child_waits_for_nobody),
	};

	threads_init(16);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
