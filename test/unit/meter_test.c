#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "httpd/meter.h"
#include "sampler/os.h"

static void work(uint64_t ns)
{
	uint64_t end = os_thread_cpu_ns(0) + ns;

	while (os_thread_cpu_ns(0) < end)
		;
}

static int begin(void **state)
{
	(void)state;
	meter_begin();
	meter_after_fork();
	meter_begin();
	return 0;
}

/* By the CPU clock: what else runs on the machine is not in it. */
static void a_round_is_as_long_as_its_steps(void **state)
{
	const struct meter_rounds *r = meter_rounds();
	uint64_t before = os_thread_cpu_ns(0), longest, all = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		meter_begin_round();
		work(300000);
		meter_step(METER_JOBS);
		work(700000);
		meter_step(METER_CHORES);
		meter_end_round();
	}
	longest = os_thread_cpu_ns(0) - before;
	for (unsigned i = 0; i <= METER_BOUNDS; i++)
		all += r->count[i];
	assert_int_equal(all, 3);
	assert_int_equal(r->count[0] + r->count[1], 0);
	assert_in_range(r->sum_ns, 3000000, longest);
	assert_in_range(r->step_max_ns[METER_JOBS], 300000, longest);
	assert_in_range(r->step_max_ns[METER_CHORES], 700000, longest);
	assert_int_equal(r->step_max_ns[METER_WALL], 0);
}

static void a_long_round_is_beyond_all_bounds(void **state)
{
	(void)state;
	for (unsigned i = 1; i < METER_BOUNDS; i++)
		assert_true(meter_bound_ns[i] > meter_bound_ns[i - 1]);
	meter_begin_round();
	work(meter_bound_ns[METER_BOUNDS - 1] + 1);
	meter_step(METER_RECLAIM);
	meter_end_round();
	assert_int_equal(meter_rounds()->count[METER_BOUNDS], 1);
}

static void a_thread_goes_on_where_the_last_one_ended(void **state)
{
	uint64_t cpu;

	(void)state;
	work(100000);
	cpu = meter_cpu_ns();
	assert_true(cpu >= 100000);
	meter_end();
	/* This one has the same clock, so its time counts once more. */
	assert_true(meter_cpu_ns() >= 2 * cpu);
	meter_after_fork();
	assert_true(meter_cpu_ns() < 2 * cpu + 1000000000);
}

static void requests_are_counted_by_endpoint_and_status(void **state)
{
	const struct meter_request *r;
	char same[] = "heap";

	(void)state;
	meter_request("heap", 200);
	meter_request("heap", 404);
	meter_request(same, 200);
	meter_request(NULL, 400);
	r = meter_request_at(0);
	assert_string_equal(r->endpoint, "heap");
	assert_int_equal(r->status, 200);
	assert_int_equal(r->count, 2);
	assert_int_equal(meter_request_at(1)->status, 404);
	assert_string_equal(meter_request_at(2)->endpoint, "none");
	assert_null(meter_request_at(3));
}

static void what_has_no_place_is_counted_as_other(void **state)
{
	uint64_t all = 0;
	const struct meter_request *r = NULL;

	(void)state;
	for (int status = 1; status <= 1000; status++)
		meter_request("heap", status);
	meter_request("heap", 1);
	for (size_t i = 0; meter_request_at(i) != NULL; i++) {
		r = meter_request_at(i);
		all += r->count;
	}
	assert_int_equal(all, 1001);
	assert_string_equal(r->endpoint, "other");
	assert_int_equal(r->count, 1000 - (METER_REQUESTS - 1));
	assert_int_equal(meter_request_at(0)->count, 2);
}

static void clients_come_and_go(void **state)
{
	uint64_t now;

	(void)state;
	meter_connection(1);
	meter_connection(1);
	meter_connection(-1);
	assert_int_equal(meter_connections(&now), 2);
	assert_int_equal(now, 1);
	/* Another thread: they were cut. */
	meter_begin();
	assert_int_equal(meter_connections(&now), 2);
	assert_int_equal(now, 0);
	meter_after_fork();
	assert_int_equal(meter_connections(&now), 0);
}

static void each_part_has_a_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < METER_PARTS; i++)
		assert_true(strlen(meter_part_name((enum meter_part)i)) > 0);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_round_is_as_long_as_its_steps),
		TEST(a_long_round_is_beyond_all_bounds),
		TEST(a_thread_goes_on_where_the_last_one_ended),
		TEST(requests_are_counted_by_endpoint_and_status),
		TEST(what_has_no_place_is_counted_as_other),
		TEST(clients_come_and_go),
		TEST(each_part_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
