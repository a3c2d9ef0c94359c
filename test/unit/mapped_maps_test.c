/* What no door of mapped memory saw: it is read from the list of mappings. */
#include "sampler/mapped.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/threads.h"

#define PAGE   4096u
#define BASE   UINT64_C(0x400000000000) /* where nobody maps anything */
#define BUDGET (4u << 20)

static uint64_t value_of(frame_t frame, enum mapped_value which)
{
	for (uint32_t row = 1; row < sites_end(&mapped_table.sites); row++) {
		uint64_t value[SITES_VALUES];
		struct site_key key;
		frame_t leaf[2];

		if (sites_read(&mapped_table.sites, row, &key, value) &&
		    generations_frames(&mapped_table, key.stack, leaf, 2) == 1 && leaf[0] == frame)
			return value[which];
	}
	return 0;
}

static uint64_t used(frame_t frame)
{
	return value_of(frame, MAPPED_ALLOC_BYTES) - value_of(frame, MAPPED_FREE_BYTES);
}

static unsigned compare_all(void)
{
	uint64_t ticket = 0;
	unsigned steps = 1;

	for (; mapped_compare(&ticket) != 0; steps++)
		continue;
	return steps;
}

static void what_no_door_saw_is_counted_as_it_is(void **state)
{
	const size_t big = 64 << 20;
	uint64_t was, allocated;
	char *p;

	(void)state;
	mapped_new(BASE, 7 * PAGE);             /* which is not there */
	compare_all();
#ifndef __SANITIZE_THREAD__       /* it has mapped all that nobody uses */
	assert_int_equal(mapped_seen(BASE, BASE + 7 * PAGE), 0);
#endif
	assert_true(used(FRAME_MAPPED_STACK) >= 2 * PAGE);
	assert_true(used(FRAME_MAPPED_OURS) >= BUDGET / 2);
	assert_int_equal(used(FRAME_MAPPED_OURS), os_mapped_bytes());
	was = used(FRAME_MAPPED_OTHER);
	p = mmap(NULL, big, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	compare_all();
	assert_int_equal(used(FRAME_MAPPED_OTHER) - was, big);
	/* Half of it is told, half of the rest goes. */
	mapped_new((uintptr_t)p, big / 2);
	munmap(p + big / 4 * 3, big / 4);
	allocated = value_of(FRAME_MAPPED_OTHER, MAPPED_ALLOC_BYTES);
	compare_all();
	assert_int_equal(used(FRAME_MAPPED_OTHER) - was, big / 4);
	assert_int_equal(mapped_seen((uintptr_t)p, (uintptr_t)p + big), big / 2);
	assert_int_equal(value_of(FRAME_MAPPED_OTHER, MAPPED_ALLOC_BYTES), allocated);
	mapped_gone((uintptr_t)p, big / 2, mapped_ticket());
	munmap(p, big / 4 * 3);
	compare_all();
	assert_int_equal(used(FRAME_MAPPED_OTHER), was);
}

/* 4000 lines are some 60 reads of a page; who asks meanwhile waits for the next one. */
static void a_comparison_comes_in_pieces(void **state)
{
	char *p = mmap(NULL, 4000 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *more;
	uint64_t first = 0, second = 0, was;
	unsigned steps = 1;

	(void)state;
	for (unsigned i = 0; i < 4000; i += 2)
		assert_int_equal(mprotect(p + i * PAGE, PAGE, PROT_NONE), 0);
	assert_true(compare_all() > 20);
	was = used(FRAME_MAPPED_OTHER);
	assert_int_not_equal(mapped_compare(&first), 0);
	more = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_not_equal(mapped_compare(&first), 0);
	/* In between, and for nobody, nothing is counted. */
	assert_int_equal(used(FRAME_MAPPED_OTHER), was);
	for (; mapped_compare(&second) != 0; steps++)
		continue;
	assert_true(second > first);
	assert_int_equal(mapped_compare(&first), 0);
	assert_int_equal(used(FRAME_MAPPED_OTHER) - was, 1 << 20);
	/* The first one's rest, and a whole one. */
	assert_true(steps > 30);
	munmap(more, 1 << 20);
	munmap(p, 4000 * PAGE);
}

/* Nothing is left of a test. */
static int end(void **state)
{
	(void)state;
	mapped_gone(BASE, (size_t)1 << 40, mapped_ticket());
	return mapped_seen(0, UINTPTR_MAX) != 0;
}

static int init(void **state)
{
	(void)state;
	threads_init(64);
	if (modules_scan(true) < 0 || mapped_init(BUDGET) < 0)
		return 1;
	threads_enter(NULL);
	return self.slot == NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_no_door_saw_is_counted_as_it_is, end),
		cmocka_unit_test_teardown(a_comparison_comes_in_pieces, end),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
