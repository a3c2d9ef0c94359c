/* What each client of delta_heap, delta_block and delta_mutex hears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake/made_arena.h"
#include "httpd/since.h"
#include "sampler/os.h"

#define BEGAN 1000

static uint64_t mapped;                 /* before a test */

static int begin_since(void **state)
{
	mapped = os_mapped_bytes();
	made_forget();
	return begin(state);
}

static int end_since(void **state)
{
	since_after_fork();
	return end(state) != 0 || os_mapped_bytes() != mapped;
}

static uint64_t forgotten(void)
{
	return count_get(COUNT_SINCE_FORGOTTEN);
}

static struct made_row *add(uint64_t bytes, uint64_t freed)
{
	struct made_row *r = made_add(GROUND_HEAP, 5, 6, 0);

	r->value[HEAP_ALLOC_BYTES] = bytes;
	r->value[HEAP_FREE_BYTES] = freed;
	return r;
}

static void open_one(struct window *w, const char *client)
{
	assert_int_equal(since_begin(w, &arena, &made_ground, GROUND_HEAP, client, BEGAN), 0);
}

/* Of all rows: what was allocated since, and what is in use. */
static void assert_sums(const struct window *w, int64_t allocated, int64_t inuse)
{
	int64_t value[SITES_VALUES], sum = 0, in = 0;
	struct site_key key;

	for (uint32_t row = 1; row < made_end(GROUND_HEAP); row++) {
		if (!window_read(w, row, &key, value))
			continue;
		sum += value[HEAP_ALLOC_BYTES];
		in += value[HEAP_ALLOC_BYTES] - value[HEAP_FREE_BYTES];
	}
	assert_int_equal(sum, allocated);
	assert_int_equal(in, inuse);
}

/* A whole request. */
static void hears(const char *client, int64_t allocated, int64_t inuse)
{
	struct window w;

	open_one(&w, client);
	assert_sums(&w, allocated, inuse);
	since_commit(&w);
	window_close(&w);
}

static void evict(uint32_t row)
{
	made.evicts[GROUND_HEAP] = row;
	window_reclaim(&made_ground);
	assert_int_equal(made.evicts[GROUND_HEAP], 0);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void the_first_hears_all_and_then_what_is_new(void **state)
{
	struct made_row *r = add(100, 40);
	uint64_t before_ns;
	struct window w;

	(void)state;
	open_one(&w, "");
	assert_int_equal(w.begin_ns, BEGAN);
	assert_sums(&w, 100, 60);
	since_commit(&w);
	window_close(&w);
	before_ns = os_monotonic_ns();
	hears("", 0, 60);
	r->value[HEAP_ALLOC_BYTES] += 7;
	r->value[HEAP_FREE_BYTES] += 50;
	open_one(&w, "");
	assert_in_range(w.begin_ns, before_ns, os_monotonic_ns());
	assert_sums(&w, 7, 17);
	since_commit(&w);
	window_close(&w);
	add(1000, 0);
	hears("", 1000, 1017);
	hears("", 0, 1017);
}

static void nobody_takes_what_is_for_another(void **state)
{
	struct made_row *r = add(100, 0);

	(void)state;
	hears("parca", 100, 100);
	r->value[HEAP_ALLOC_BYTES] += 10;
	hears("alloy", 110, 110);
	hears("parca", 10, 110);
	r->value[HEAP_ALLOC_BYTES] += 1;
	hears("parca", 1, 111);
	hears("alloy", 1, 111);
	hears("Parca", 111, 111);
	/* Of another profile. */
	made_add(GROUND_BLOCK, 5, 0, 0)->value[LOCKS_DELAY_NS] = 7;
	for (int i = 0; i < 2; i++) {
		int64_t value[SITES_VALUES];
		struct site_key key;
		struct window w;

		assert_int_equal(since_begin(&w, &arena, &made_ground, GROUND_BLOCK, "parca",
					     BEGAN), 0);
		assert_true(window_read(&w, 1, &key, value));
		assert_int_equal(value[LOCKS_DELAY_NS], i == 0 ? 7 : 0);
		since_commit(&w);
		window_close(&w);
	}
}

static void what_is_counted_meanwhile_comes_next_time(void **state)
{
	struct made_row *r = add(100, 0);
	struct window w;

	(void)state;
	open_one(&w, "");
	r->value[HEAP_ALLOC_BYTES] += 5;
	add(30, 0);
	assert_sums(&w, 100, 100);
	since_commit(&w);
	window_close(&w);
	hears("", 35, 135);
}

static void a_request_that_came_to_nothing_is_not_counted(void **state)
{
	struct window w;

	(void)state;
	add(100, 0);
	for (int i = 0; i < 3; i++) {
		open_one(&w, "");
		window_close(&w);       /* as its connection is */
	}
	hears("", 100, 100);
}

/* As in an open window (window_test.c): the sums stay, whichever rows go when. */
static void what_is_evicted_between_calls_stays_in_the_sums(void **state)
{
	struct made_row *rest = NULL, *one, *two;

	(void)state;
	while (made.rows[GROUND_HEAP] < GENERATIONS_EVICTED)
		rest = add(0, 0);
	one = add(100, 100);
	two = add(20, 0);
	hears("a", 120, 20);
	one->value[HEAP_ALLOC_BYTES] += 8;
	one->value[HEAP_FREE_BYTES] += 8;
	evict(GENERATIONS_EVICTED + 1);
	assert_int_equal(rest->value[HEAP_ALLOC_BYTES], 108);
	/* The row is another's, which begins at 0. */
	*one = (struct made_row){ .key = { .stack = 9 }, .value = { [HEAP_ALLOC_BYTES] = 3 } };
	two->value[HEAP_ALLOC_BYTES] += 1;
	hears("b", 132, 24);
	hears("a", 12, 24);
	one->value[HEAP_FREE_BYTES] = 3;
	evict(GENERATIONS_EVICTED + 1);
	hears("a", 0, 21);
	hears("b", 0, 21);
	two->value[HEAP_ALLOC_BYTES] += 5;
	hears("a", 5, 26);
}

static void one_request_of_a_client_at_a_time(void **state)
{
	struct window w, other;

	(void)state;
	add(100, 0);
	open_one(&w, "a");
	assert_int_equal(since_begin(&other, &arena, &made_ground, GROUND_HEAP, "a", BEGAN),
			 -EBUSY);
	open_one(&other, "b");
	window_close(&other);
	window_close(&w);
	hears("a", 100, 100);
}

static void who_has_not_asked_for_longest_is_forgotten(void **state)
{
	uint64_t before = forgotten();
	char name[16];

	(void)state;
	add(100, 0);
	for (int i = 0; i < SINCE_CLIENTS; i++) {
		snprintf(name, sizeof(name), "client %d", i);
		hears(name, 100, 100);
	}
	hears("client 0", 0, 100);
	assert_int_equal(forgotten(), before);
	hears("one more", 100, 100);
	assert_int_equal(forgotten(), before + 1);
	hears("client 0", 0, 100);
	hears("client 2", 0, 100);
	assert_int_equal(forgotten(), before + 1);
	hears("client 1", 100, 100);
	assert_int_equal(forgotten(), before + 2);
}

static void one_that_is_being_answered_is_not_forgotten(void **state)
{
	struct window w[SINCE_CLIENTS], more;
	char name[16];

	(void)state;
	add(100, 0);
	for (int i = 0; i < SINCE_CLIENTS; i++) {
		snprintf(name, sizeof(name), "client %d", i);
		open_one(&w[i], name);
	}
	assert_int_equal(since_begin(&more, &arena, &made_ground, GROUND_HEAP, "more", BEGAN),
			 -EBUSY);
	for (int i = 0; i < SINCE_CLIENTS; i++)
		window_close(&w[i]);
	hears("more", 100, 100);
}

/* As many rows as one client may have half of the memory for. */
#define MANY (SINCE_BYTES_MAX / (4 * sizeof(uint64_t)) / 2)

static uint32_t many;

static uint32_t many_end(enum ground_profile profile)
{
	return profile == GROUND_HEAP ? many : made_end(profile);
}

static bool many_read(enum ground_profile profile, uint32_t row, struct site_key *key,
		      uint64_t value[SITES_VALUES])
{
	if (row < made_end(profile))
		return made_read(profile, row, key, value);
	return false;
}

static void memory_has_a_bound(void **state)
{
	struct ground ground = made_ground;
	uint64_t before = forgotten();
	struct window w;

	(void)state;
	add(100, 0);
	ground.end = many_end;
	ground.read = many_read;
	many = MANY;
	for (int i = 0; i < 5; i++) {
		const char *name = (const char *[]){ "a", "b", "a", "a", "b" }[i];

		assert_int_equal(since_begin(&w, &arena, &ground, GROUND_HEAP, name, BEGAN), 0);
		assert_sums(&w, i == 2 || i == 3 ? 0 : 100, 100);
		since_commit(&w);
		window_close(&w);
		/* os.c takes a page more for each. */
		assert_true(os_mapped_bytes() - mapped <= SINCE_BYTES_MAX + 3 * 4096);
		arena_reset(&arena);
		/* b has no room beside a, who has it twice for a moment. */
		if (i == 1)
			assert_int_equal(forgotten(), before);
		if (i == 2)
			assert_int_equal(forgotten(), before + 1);
	}
	many = 2 * MANY + 2;
	assert_int_equal(since_begin(&w, &arena, &ground, GROUND_HEAP, "c", BEGAN), -ENOMEM);
	assert_false(w.is_open);
}

static void a_fork_child_knows_nobody(void **state)
{
	(void)state;
	add(100, 0);
	hears("a", 100, 100);
	window_after_fork();
	assert_int_equal(os_mapped_bytes(), mapped);
	hears("a", 100, 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_since, end_since)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_hears_all_and_then_what_is_new),
		TEST(nobody_takes_what_is_for_another),
		TEST(what_is_counted_meanwhile_comes_next_time),
		TEST(a_request_that_came_to_nothing_is_not_counted),
		TEST(what_is_evicted_between_calls_stays_in_the_sums),
		TEST(one_request_of_a_client_at_a_time),
		TEST(who_has_not_asked_for_longest_is_forgotten),
		TEST(one_that_is_being_answered_is_not_forgotten),
		TEST(memory_has_a_bound),
		TEST(a_fork_child_knows_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
