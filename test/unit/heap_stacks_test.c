/* The stacks of heap samples.  Frames of this program count as ours and are left out; those of libc
 * stay: so a stack here is the way through libc's callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>

#include "fake/heap_doors.h"
#include "fake/mapped_file.h"
#include "fake/odds.h"
#include "sampler/compiler.h"
#include "sampler/modules_scan.h"
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
	stack = sites_read(&heap_table.sites, b.row, &key, value) ? key.stack : 0;
}

static NOINLINE void go_on(void)
{
	pthread_once_t once = PTHREAD_ONCE_INIT;
	int two[2] = { 1, 2 };
	size_t n = 2;

	if (stack != 0)
		return;         /* a sanitizer's qsort compares more than once */
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
	__asm__ volatile("" : : : "memory");    /* no tail call */
}

/* The stack of a sample that was taken at the end of path number p. */
static uint32_t sample_at(unsigned p)
{
	unsigned count = 1;

	for (ways = 0; p >= count; ways++, count *= WAYS)
		p -= count;
	for (unsigned i = 0; i < ways; i++, p /= WAYS)
		way[i] = p % WAYS;
	at = stack = 0;
	go_on();
	return stack;
}

/* As if no whole stack had been met before. */
static uint32_t sample_by_frames(unsigned p)
{
	wholes_clear(&generations_at(&heap_table, generations_now(&heap_table))->stacks.wholes);
	return sample_at(p);
}

/* Nor anything of this one by the thread. */
static uint32_t sample_afresh(unsigned p)
{
	threads_capture(CAPTURE_HEAP)->seen = 0;
	return sample_by_frames(p);
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
	unsigned n = generations_frames(&heap_table, expected[0], outer, STACK_DEPTH_DEFAULT);

	(void)state;
	for (unsigned p = 1; p < PATHS; p++) {
		unsigned more = generations_frames(&heap_table, expected[p], inner,
					      STACK_DEPTH_DEFAULT);

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

		bool by_frames = random_next(&random) >> 62 != 0;

		if ((by_frames ? sample_by_frames(p) : sample_at(p)) != expected[p])
			fail_msg("seed %#llx, path %u", (unsigned long long)seed, p);
		/* Whatever makes addresses mean something else makes it forget. */
		if (round % 512 == 0)
			dlclose_passes();
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

/* Threads come into the slots of others, also of this one: their stacks are their own. */
static void a_thread_inherits_nothing_with_its_slot(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct thread_slot *slot = self.slot;
		pthread_t thread;

		if (i % 2 != 0)
			threads_leave();
		assert_int_equal(pthread_create(&thread, NULL, take_samples, NULL), 0);
		pthread_join(thread, NULL);
		assert_int_equal(wrong, 0);
		if (i % 2 != 0)
			threads_enter(NULL);
		assert_ptr_equal(self.slot, slot);
		self.slot->stack_hi = modules_main_stack_hi();
		assert_int_equal(sample_at(i), expected[i]);
	}
}

/* --- code that comes and goes ---------------------------------------------------------------- */

/* As in bzlib.h: the part that we need.  It asks for memory by a call of ours. */
struct stream {
	void *in_out[6];
	void *state;
	void *(*alloc)(void *of, int items, int size);
	void (*free)(void *of, void *p);
	void *of;
};

static void *alloc_and_sample(void *of, int items, int size)
{
	(void)of;
	(void)items;
	(void)size;
	allocate();
	return NULL;
}

typedef int compress_init(struct stream *s, int blocks, int verbosity, int factor);

static NOINLINE uint32_t sample_in_a_library(void *library)
{
	compress_init *begin = (compress_init *)dlsym(library, "BZ2_bzCompressInit");
	struct stream s = { .alloc = alloc_and_sample };

	stack = 0;
	begin(&s, 1, 0, 0);
	return stack;
}

static void nothing_passes(void)
{
}

/* Code that no scan has seen is of the epoch in which the sample is taken, also where that is not
 * the first one with these addresses.  All from one place, of which a compiler must not make two:
 * the frame of this function is among them. */
static void after_a_dlclose_an_address_means_something_else(void **state)
{
	void (*const volatile before[])(void) = { nothing_passes, dlclose_passes };
	void *library = dlopen(SOME_LIBRARY, RTLD_NOW);
	frame_t frame[STACK_DEPTH_DEFAULT];

	(void)state;
	if (library == NULL)
		skip();
	for (int i = 0; i < 6; i++) {
		uint32_t id;

		before[i % 2 == 0]();
		id = sample_in_a_library(library);
		assert_true(generations_frames(&heap_table, id, frame, STACK_DEPTH_DEFAULT) > 0);
		assert_int_equal(frame_epoch(frame[0]), modules_epoch());
	}
	dlclose(library);
	dlclose_passes();
}

static void a_dlclose_of_another_library_changes_no_frame(void **state)
{
	void *library = dlopen(SOME_LIBRARY, RTLD_NOW);
	frame_t frame[3][STACK_DEPTH_DEFAULT];
	unsigned n[3];

	(void)state;
	if (library == NULL)
		skip();
	assert_int_equal(modules_scan(false), 0);
	/* From one place, before and after some other library was closed. */
	for (int i = 0; i < 3; i++) {
		uint32_t id = sample_in_a_library(library);

		n[i] = generations_frames(&heap_table, id, frame[i], STACK_DEPTH_DEFAULT);
		if (i == 1)
			dlclose_passes();
	}
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(frame[0], frame[1], n[0] * sizeof(frame_t));
	assert_int_equal(n[1], n[2]);
	assert_memory_equal(frame[1], frame[2], n[1] * sizeof(frame_t));
	assert_non_null(strstr(modules_find(frame[2][0])->path, "libbz2"));
	dlclose(library);
}

static void lose_nothing(struct stacks *s)
{
	(void)s;
}

static void lose_all_nodes_but_whole_stacks(struct stacks *s)
{
	levels_clear(&s->index);
	for (uint32_t id = 1; id <= stacks_nodes(s); id++)
		s->node[id].hash &= ~STACKS_FOUND;
	s->room = 1;
	threads_capture(CAPTURE_HEAP)->seen = 0;
}

/* Without a look at any frame: in a table that would not find one, nor has room for it.  From one
 * place, of which a compiler must not make two: this function's frame is not in the stack, but
 * among the addresses. */
static void a_stack_that_was_met_before_is_found_as_a_whole(void **state)
{
	void (*const volatile lose[])(struct stacks *) = {
		lose_nothing, lose_all_nodes_but_whole_stacks,
	};
	struct stacks *s = &generations_at(&heap_table, generations_now(&heap_table))->stacks;
	uint32_t room = s->room;

	(void)state;
	for (unsigned i = 0; i < 2 * PATHS; i++) {
		lose[i == PATHS](s);
		assert_int_equal(sample_at(i % PATHS), expected[i % PATHS]);
	}
	assert_int_equal(sample_by_frames(1) >> GENERATIONS_BIT, 1);
	s->room = room;
}

/* The same ids are of other stacks there; and what was remembered of whole ones, too, was not
 * cleared, as a handler that came too late would leave it. */
static void what_is_remembered_is_of_its_generation(void **state)
{
	frame_t frame[PATHS][STACK_DEPTH_DEFAULT], now_has[STACK_DEPTH_DEFAULT];
	unsigned depth[PATHS];
	struct stacks *s = &generations_at(&heap_table, heap_table.now)->stacks;

	(void)state;
	for (unsigned p = 0; p < PATHS; p++)
		depth[p] = generations_frames(&heap_table, sample_at(p), frame[p],
					      STACK_DEPTH_DEFAULT);
	for (unsigned round = 0; round < 3; round++) {
		uint64_t number = generations_number(heap_table.now);

		levels_clear(&s->index);
		levels_clear(&generations_at(&heap_table, heap_table.now)->index);
		memset(s->node, 0, (stacks_nodes(s) + 1) * sizeof(*s->node));
		s->nodes = 1;
		heap_table.now = (number + 2) << 2 | GENERATIONS_CLEAR;
		/* In another order each time. */
		for (unsigned i = 0; i < PATHS; i++) {
			unsigned p = (i * (2 * round + 3) + round) % PATHS;
			uint32_t id = sample_at(p);

			assert_int_equal(generations_frames(&heap_table, id, now_has,
							    STACK_DEPTH_DEFAULT), depth[p]);
			assert_memory_equal(now_has, frame[p], depth[p] * sizeof(frame_t));
		}
	}
}

/* What a thread remembers of its last stack is of one generation. */
static void in_the_next_generation_a_stack_is_the_same(void **state)
{
	frame_t before[STACK_DEPTH_DEFAULT], after[STACK_DEPTH_DEFAULT];

	(void)state;
	for (unsigned p = 0; p < PATHS; p += 7) {
		unsigned depth = generations_frames(&heap_table, sample_at(p), before,
						    STACK_DEPTH_DEFAULT);
		uint64_t now = generations_now(&heap_table);
		uint32_t id;

		heap_table.now = generations_number(now) << 2 | GENERATIONS_CLEAR;
		assert_true(generations_next(&heap_table, generations_now(&heap_table)));
		id = sample_at(p);
		assert_int_equal(id >> GENERATIONS_BIT, (generations_number(now) + 1) & 1);
		assert_int_equal(generations_frames(&heap_table, id, after, STACK_DEPTH_DEFAULT),
				 depth);
		assert_memory_equal(after, before, depth * sizeof(*after));
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
		cmocka_unit_test(after_a_dlclose_an_address_means_something_else),
		cmocka_unit_test(a_dlclose_of_another_library_changes_no_frame),
		cmocka_unit_test(a_stack_that_was_met_before_is_found_as_a_whole),
		cmocka_unit_test(what_is_remembered_is_of_its_generation),
		cmocka_unit_test(in_the_next_generation_a_stack_is_the_same),
	};

	if (heap_doors_begin() < 0 || heap_init(64u << 20) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
