/* The stacks of heap samples.  Frames of this program count as ours and are left out; those of libc stay:
 * so a stack here is the way through libc's callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <link.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>

#include "fake/heap_doors.h"
#include "fake/odds.h"
#include "sampler/compiler.h"
#include "sampler/random.h"

#define WAYS   4
#define NESTED 3
#define PATHS  (1 + WAYS + WAYS * WAYS + WAYS * WAYS * WAYS)

/* --- ways through libc ----------------------------------------------------------------------- */

static unsigned way[NESTED], ways, at;
static uint32_t stack;          /* of the last sample */

static void go_on(void);

static int by_qsort(const void *a, const void *b)
{
	(void)a;
	(void)b;
	go_on();
	return 0;
}

static int by_header(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	(void)arg;
	go_on();
	return 1;
}

/* The innermost: a sample. */
static NOINLINE void allocate(void)
{
	uint64_t value[SITES_VALUES];
	struct heap_block b;
	struct site_key key;

	draw_anew(1);
	door_gives(block_at(1), 10);
	heap_take(block_at(1), &b);
	heap_freed(&b);
	stack = sites_read(&heap_sites, b.row, &key, value) ? key.stack : 0;
}

static NOINLINE void go_on(void)
{
	pthread_once_t once = PTHREAD_ONCE_INIT;
	int two[2] = { 1, 2 };
	size_t n = 2;

	if (at == ways) {
		allocate();
		return;
	}
	switch (way[at++]) {
	case 0:
		qsort(two, 2, sizeof(two[0]), by_qsort);
		break;
	case 1:
		dl_iterate_phdr(by_header, NULL);
		break;
	case 2:
		pthread_once(&once, go_on);
		break;
	case 3:
		(void)lfind(&two[0], two, &n, sizeof(two[0]), by_qsort);
		break;
	}
	__asm__ volatile("" ::: "memory");      /* no tail call */
}

/* The stack of a sample that was taken at the end of path number p. */
static uint32_t sample_at(unsigned p)
{
	unsigned count = 1;

	for (ways = 0; p >= count; ways++, count *= WAYS)
		p -= count;
	for (unsigned i = 0; i < ways; i++, p /= WAYS)
		way[i] = p % WAYS;
	at = 0;
	go_on();
	return stack;
}

static uint32_t sample_afresh(unsigned p)
{
	threads_capture(CAPTURE_HEAP)->seen = 0;
	return sample_at(p);
}

/* --- tests ----------------------------------------------------------------------------------- */

static uint32_t expected[PATHS];

static void stacks_through_different_functions_are_different(void **state)
{
	(void)state;
	for (unsigned p = 0; p < PATHS; p++) {
		expected[p] = sample_afresh(p);
		assert_int_not_equal(expected[p], 0);
		for (unsigned q = 0; q < p; q++)
			assert_int_not_equal(expected[p], expected[q]);
	}
}

/* Each has the frames of the one that it goes on from, and more. */
static void a_stack_grows_at_its_leaf(void **state)
{
	frame_t outer[STACK_DEPTH_DEFAULT], inner[STACK_DEPTH_DEFAULT];
	unsigned n = stacks_frames(&heap_stacks, expected[0], outer, STACK_DEPTH_DEFAULT);

	(void)state;
	for (unsigned p = 1; p < PATHS; p++) {
		unsigned more = stacks_frames(&heap_stacks, expected[p], inner, STACK_DEPTH_DEFAULT);

		assert_true(more > n);
		assert_memory_equal(inner + more - n, outer, n * sizeof(*outer));
		for (unsigned i = 0; i < more; i++)
			assert_false(modules_is_ours(frame_pc(inner[i])));
	}
}

/* What a thread remembers of its last stack must not show in the next one. */
static void a_stack_is_the_same_whatever_came_before_it(void **state)
{
	uint64_t seed = odds_seed(), random = random_seed(seed);

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned p = (unsigned)(random_next(&random) >> 33) % PATHS;

		if (sample_at(p) != expected[p])
			fail_msg("seed %#llx, path %u", (unsigned long long)seed, p);
		/* Whatever makes addresses mean something else makes it forget. */
		if (round % 512 == 0)
			modules_epoch_next();
	}
}

static unsigned wrong;

static void *take_samples(void *unused)
{
	(void)unused;
	threads_enter(NULL);
	for (unsigned p = PATHS; p-- > 0;) {
		uint32_t first = sample_at(p);

		wrong += first == 0 || first == expected[p] || first != sample_afresh(p);
	}
	threads_leave();
	return NULL;
}

/* Threads come into the slots of others, one after the other: their stacks are their own. */
static void a_thread_inherits_nothing_with_its_slot(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, take_samples, NULL), 0);
		pthread_join(thread, NULL);
		assert_int_equal(wrong, 0);
		assert_int_equal(sample_at(i), expected[i]);
	}
}

int main(void)
{
	/* The first finds out what the others expect. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stacks_through_different_functions_are_different),
		cmocka_unit_test(a_stack_grows_at_its_leaf),
		cmocka_unit_test(a_stack_is_the_same_whatever_came_before_it),
		cmocka_unit_test(a_thread_inherits_nothing_with_its_slot),
	};

	if (heap_doors_begin() < 0 || heap_init(64u << 20) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
