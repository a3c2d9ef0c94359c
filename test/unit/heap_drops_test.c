/* What the heap profile gives up, and that it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fake/heap_doors.h"
#include "fake/stacks_add.h"
#include "fake/sys_refused.h"
#include "sampler/count.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/threads.h"

#define ONE ((uint64_t)RANDOM_WEIGHT_ONE)

/* A clock that leaves an error behind, as a call of the sample's may. */
static bool clock_fails;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long err = sys_call2(SYS_clock_gettime, clock, t);

	if (clock_fails)
		errno = EXFULL;
	return (int)err;
}

static struct heap_totals before;
static uint64_t counted[COUNT_REASONS];

static int begin(void **state)
{
	(void)state;
	before = heap_totals_of(0);
	for (int i = 0; i < COUNT_REASONS; i++)
		counted[i] = count_get((enum count)i);
	draw_anew(1);
	return 0;
}

/* This reason has gone up so much, and no other one has. */
static void assert_counted(enum count reason, uint64_t n)
{
	for (int i = 0; i < COUNT_REASONS; i++)
		if (count_get((enum count)i) != counted[i] + (i == (int)reason ? n : 0))
			fail_msg("%s: %llu more", count_name((enum count)i),
				 (unsigned long long)(count_get((enum count)i) - counted[i]));
}

static void assert_nothing_sampled(void)
{
	struct heap_totals t = heap_totals_since(&before);

	for (unsigned i = 0; i < SITES_VALUES; i++)
		assert_true(t.value[i] == 0);
}

/* --- before there is a heap, and after a thread's end ---------------------------------------- */

static void before_init_a_thread_only_counts_down(void **state)
{
	struct self was = self;

	(void)state;
	self = (struct self){ .phase = SELF_NEW };
	door_gives(block_at(1), 100);
	assert_int_equal(self.phase, SELF_NEW);
	assert_int_equal(self.heap_left, HEAP_NOT_YET_BYTES);
	door_takes(block_at(1));
	self = was;
	assert_nothing_sampled();
	assert_counted(COUNT_REASONS, 0);
}

/* Pages of this process. */
static unsigned long pages(void)
{
	unsigned long n = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL || fscanf(f, "%lu", &n) != 1)
		fail();
	fclose(f);
	return n;
}

static void without_memory_there_is_no_heap(void **state)
{
	unsigned long had = pages();
	unsigned nth;

	(void)state;
	for (nth = 1;; nth++) {
		int err;

		sys_refuse(SYS_mmap, nth, -ENOMEM);
		err = heap_init(64u << 20);
		sys_refuse(0, 0, 0);
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(pages(), had);
	}
	/* Blocks two, rows two, and four for each generation. */
	assert_int_equal(nth, 13);
}

static void a_thread_that_was_never_seen_is_met_at_its_first_sample(void **state)
{
	struct self was = self;

	(void)state;
	threads_release(self.slot);
	self = (struct self){ .phase = SELF_NEW };
	door_gives(block_at(1), 100);
	assert_int_equal(self.phase, SELF_READY);
	assert_int_equal(self.tid, os_gettid());
	assert_non_null(self.slot);
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 1);
	door_takes(block_at(1));
	self.slot->stack_hi = was.slot->stack_hi;
}

static void a_thread_that_has_ended_and_our_own_are_not_sampled(void **state)
{
	static const enum self_phase phases[] = { SELF_GONE, SELF_DESK };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(phases); i++) {
		self.phase = phases[i];
		self.heap_left = 0;
		door_gives(block_at(1), 100);
		/* It is not asked at every step. */
		assert_int_equal(self.heap_left, HEAP_NOT_YET_BYTES);
		assert_int_equal(self.phase, phases[i]);
		self.phase = SELF_READY;
	}
	assert_nothing_sampled();
	assert_counted(COUNT_REASONS, 0);
}

static void a_thread_without_a_slot_is_not_sampled(void **state)
{
	struct thread_slot *slot = self.slot;

	(void)state;
	self.slot = NULL;
	door_gives(block_at(1), 100);
	self.slot = slot;
	assert_nothing_sampled();
}

/* --- while sampling -------------------------------------------------------------------------- */

static void a_sample_within_a_sample_is_dropped_and_counted(void **state)
{
	(void)state;
	threads_begin(CAPTURE_HEAP);
	door_gives(block_at(1), 100);
	assert_true(threads_is_in(CAPTURE_HEAP));
	threads_end(CAPTURE_HEAP);
	assert_counted(COUNT_HEAP_NESTED, 1);
	assert_nothing_sampled();
	door_gives(block_at(1), 100);
	assert_false(threads_is_in(CAPTURE_HEAP));
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 1);
	door_takes(block_at(1));
}

/* A vfork child, say: its thread-local data is its parent's, and so is the heap that its block is
 * in. */
static void a_sample_on_the_data_of_another_thread_counts(void **state)
{
	(void)state;
	self.tid++;
	door_gives(block_at(1), 100);
	self.tid--;
	assert_counted(COUNT_REASONS, 0);
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 1);
	door_takes(block_at(1));
}

static void errno_is_the_hosts(void **state)
{
	(void)state;
	clock_fails = true;
	errno = ENOENT;
	door_gives(block_at(1), 100);
	clock_fails = false;
	assert_int_equal(errno, ENOENT);
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 1);
	door_takes(block_at(1));
}

static void errno_is_the_hosts_when_a_thread_is_met(void **state)
{
	(void)state;
	threads_release(self.slot);
	self = (struct self){ .phase = SELF_NEW };
	clock_fails = true;
	errno = ENOENT;
	door_gives(block_at(1), 100);
	clock_fails = false;
	assert_int_equal(errno, ENOENT);
	door_takes(block_at(1));
	self.slot->stack_hi = modules_main_stack_hi();
}

/* A block that went without a door: its address comes again. */
static void a_stale_block_is_replaced_and_counted_as_freed(void **state)
{
	struct heap_totals t;

	(void)state;
	door_gives(block_at(1), 100);
	door_gives(block_at(1), 30);
	assert_counted(COUNT_HEAP_STALE, 1);
	t = heap_totals_since(&before);
	assert_int_equal(t.value[HEAP_ALLOC_BYTES], 130);
	assert_int_equal(t.value[HEAP_FREE_BYTES], 100);
	assert_int_equal(t.value[HEAP_FREE_OBJECTS], ONE);
	door_takes(block_at(1));
	t = heap_totals_since(&before);
	assert_int_equal(t.value[HEAP_FREE_BYTES], 130);
	assert_int_equal(t.value[HEAP_FREE_RAW], 2);
}

static void a_pinned_block_is_always_asked_about(void **state)
{
	(void)state;
	assert_true(heap_is_unsampled(block_at(1000)));
	heap_pin(block_at(1000));
	assert_false(heap_is_unsampled(block_at(1000)));
	door_gives(block_at(1000), 10);
	door_takes(block_at(1000));
	door_takes(block_at(1000));
	assert_false(heap_is_unsampled(block_at(1000)));
	assert_int_equal(heap_totals_since(&before).value[HEAP_FREE_RAW], 1);
}

/* The countdown to a gap of 2^40 bytes is walked in pieces: not inside one malloc. */
static void even_the_largest_block_at_the_largest_rate_takes_no_time(void **state)
{
	uint64_t start = os_thread_cpu_ns(os_gettid());

	(void)state;
	draw_anew(UINT64_C(1) << 40);
	for (int i = 0; i < 10; i++) {
		door_gives(block_at(1), SIZE_MAX / 2);
		door_takes(block_at(1));
	}
	assert_true(os_thread_cpu_ns(os_gettid()) - start < 50000000);
}

/* --- full tables ----------------------------------------------------------------------------- */

static void fill_stacks(void)
{
	struct stacks *s = &generations_at(&heap_table, generations_now(&heap_table))->stacks;

	for (frame_t frame = 1; stacks_nodes(s) + 1 < s->room; frame++)
		(void)stacks_add(s, &frame, 1);
}

static void fill_sites(void)
{
	while (sites_take(&heap_table.sites) != 0)
		continue;
}

/* A block that is sampled now counts, and belongs to [evicted]. */
static void assert_evicted(const void *p)
{
	uint64_t value[SITES_VALUES];
	struct site_key key;

	before = heap_totals_of(0);
	door_gives(p, 100);
	assert_true(sites_read(&heap_table.sites, GENERATIONS_NO_ROOM, &key, value));
	assert_int_equal(key.stack, GENERATIONS_STACK_EVICTED);
	assert_int_equal(value[HEAP_ALLOC_BYTES] - value[HEAP_FREE_BYTES], 100);
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 1);
	door_takes(p);
	assert_true(sites_read(&heap_table.sites, GENERATIONS_NO_ROOM, &key, value));
	assert_int_equal(value[HEAP_ALLOC_BYTES] - value[HEAP_FREE_BYTES], 0);
	assert_int_equal(heap_totals_since(&before).value[HEAP_FREE_RAW], 1);
}

static void with_no_room_for_a_stack_a_sample_goes_to_the_next_generation(void **state)
{
	(void)state;
	assert_int_equal(heap_init(1u << 20), 0);
	threads_capture(CAPTURE_HEAP)->seen = 0;        /* nodes of the tables before */
	fill_stacks();
	before = heap_totals_of(0);
	door_gives(block_at(1), 100);
	assert_counted(COUNT_REASONS, 0);
	assert_int_equal(generations_number(generations_now(&heap_table)), 1);
	assert_int_equal(heap_totals_since(&before).value[HEAP_ALLOC_RAW], 1);
	door_takes(block_at(1));
}

static void with_no_room_there_either_it_counts_as_evicted(void **state)
{
	(void)state;
	assert_int_equal(heap_init(1u << 20), 0);
	threads_capture(CAPTURE_HEAP)->seen = 0;
	fill_stacks();
	assert_true(generations_next(&heap_table, generations_now(&heap_table)));
	fill_stacks();
	assert_evicted(block_at(1));
	assert_counted(COUNT_HEAP_NO_STACK, 1);
}

static void with_no_room_for_a_site_it_counts_as_evicted(void **state)
{
	(void)state;
	assert_int_equal(heap_init(1u << 20), 0);
	threads_capture(CAPTURE_HEAP)->seen = 0;
	fill_sites();
	assert_evicted(block_at(1));
	assert_counted(COUNT_HEAP_NO_SITE, 1);
}

/* Allocated, but not in use: the one thing that is true of them is counted. */
static void with_no_room_for_a_block_it_counts_as_freed_at_once(void **state)
{
	uint64_t n = (1u << 20) / 4 / 32 * 2, lost;
	struct heap_totals t;

	(void)state;
	assert_int_equal(heap_init(1u << 20), 0);
	before = heap_totals_of(0);
	for (uint64_t i = 0; i < n; i++)
		door_gives(block_at(i), 100);
	t = heap_totals_since(&before);
	lost = count_get(COUNT_HEAP_NO_ROOM) - counted[COUNT_HEAP_NO_ROOM];
	assert_in_range(lost, n / 2, n / 2 + n / 20);
	assert_counted(COUNT_HEAP_NO_ROOM, lost);
	assert_int_equal(t.value[HEAP_ALLOC_RAW], n);
	assert_int_equal(t.value[HEAP_FREE_RAW], lost);
	assert_int_equal(t.value[HEAP_FREE_BYTES], 100 * lost);
	for (uint64_t i = 0; i < n; i++)
		door_takes(block_at(i));
	assert_int_equal(heap_totals_since(&before).value[HEAP_FREE_RAW], n);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	/* The first two are before the heap's init, the last four have small heaps of their
	 * own. */
	const struct CMUnitTest tests[] = {
		TEST(before_init_a_thread_only_counts_down),
		TEST(without_memory_there_is_no_heap),
		TEST(a_thread_that_was_never_seen_is_met_at_its_first_sample),
		TEST(a_thread_that_has_ended_and_our_own_are_not_sampled),
		TEST(a_thread_without_a_slot_is_not_sampled),
		TEST(a_sample_within_a_sample_is_dropped_and_counted),
		TEST(a_sample_on_the_data_of_another_thread_counts),
		TEST(errno_is_the_hosts),
		TEST(errno_is_the_hosts_when_a_thread_is_met),
		TEST(a_stale_block_is_replaced_and_counted_as_freed),
		TEST(a_pinned_block_is_always_asked_about),
		TEST(even_the_largest_block_at_the_largest_rate_takes_no_time),
		TEST(with_no_room_for_a_stack_a_sample_goes_to_the_next_generation),
		TEST(with_no_room_there_either_it_counts_as_evicted),
		TEST(with_no_room_for_a_site_it_counts_as_evicted),
		TEST(with_no_room_for_a_block_it_counts_as_freed_at_once),
	};

	if (heap_doors_begin() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
