/* The ring of hits: each is taken once, whole and in turn; of too many the oldest are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "sampler/self.h"
#include "sampler/threads.h"
#include "sampler/wall_hits.h"

#define WRITERS 4
#define EACH    200000u

static int begin(void **state)
{
	static bool ready;

	(void)state;
	if (!ready)
		threads_init(16);
	ready = true;
	threads_enter(NULL);
	wall_hits_want(true);
	return self.slot == NULL;
}

static int end(void **state)
{
	(void)state;
	wall_hits_want(false);
	threads_leave();
	self = (struct self){ .phase = SELF_NEW };
	return 0;
}

static void hits_are_taken_in_turn(void **state)
{
	struct wall_hit hit;

	(void)state;
	assert_false(wall_hits_take(&hit));
	for (uint32_t i = 0; i < 3 * WALL_HITS; i++) {
		wall_hits_add(i, 1000 + i);
		if (i % 3 != 2)
			continue;
		for (uint32_t k = i - 2; k <= i; k++) {
			assert_true(wall_hits_take(&hit));
			assert_int_equal(hit.row, k);
			assert_int_equal(hit.ns, 1000 + k);
			assert_int_equal(hit.tid, self.tid);
			assert_int_equal(hit.slot, self.slot->number);
		}
		assert_false(wall_hits_take(&hit));
	}
}

static void of_too_many_the_last_are_there(void **state)
{
	struct wall_hit hit;

	(void)state;
	for (uint32_t i = 0; i < 2 * WALL_HITS + 5; i++)
		wall_hits_add(i, i);
	for (uint32_t i = WALL_HITS + 5; i < 2 * WALL_HITS + 5; i++) {
		assert_true(wall_hits_take(&hit));
		assert_int_equal(hit.row, i);
	}
	assert_false(wall_hits_take(&hit));
}

static void nothing_is_written_unless_it_is_wanted(void **state)
{
	struct wall_hit hit;

	(void)state;
	wall_hits_add(1, 1);
	wall_hits_want(false);
	wall_hits_add(2, 2);
	wall_hits_want(true);
	assert_false(wall_hits_take(&hit));
	wall_hits_add(3, 3);
	assert_true(wall_hits_take(&hit));
	assert_int_equal(hit.row, 3);
}

/* Rows and times of one hit belong together. */
static void *writes(void *number)
{
	threads_enter(NULL);
	for (uint32_t i = 0; i < EACH; i++)
		wall_hits_add((uint32_t)(uintptr_t)number * EACH + i,
			      ((uint64_t)(uintptr_t)number * EACH + i) * 7);
	threads_leave();
	return NULL;
}

static void hits_of_many_threads_are_whole_and_in_turn(void **state)
{
	pthread_t writer[WRITERS];
	uint32_t last[WRITERS] = { 0 };
	unsigned taken = 0;
	struct wall_hit hit;

	(void)state;
	for (uintptr_t i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writer[i], NULL, writes, (void *)i), 0);
	for (unsigned turns = 0; turns < 20000; turns++)
		while (wall_hits_take(&hit)) {
			unsigned of = hit.row / EACH;

			assert_true(of < WRITERS);
			assert_int_equal(hit.ns, (uint64_t)hit.row * 7);
			assert_true(hit.row % EACH >= last[of]);
			last[of] = hit.row % EACH + 1;
			taken++;
		}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writer[i], NULL);
	while (wall_hits_take(&hit))
		taken++;
	assert_true(taken >= WALL_HITS && taken <= WRITERS * EACH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hits_are_taken_in_turn),
		TEST(of_too_many_the_last_are_there),
		TEST(nothing_is_written_unless_it_is_wanted),
		TEST(hits_of_many_threads_are_whole_and_in_turn),
	};

	return cmocka_run_group_tests_name("wall_hits", tests, NULL, NULL);
}
