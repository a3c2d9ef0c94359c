/* The memory that a thread costs: the pages of its slot that samples of each kind have touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "fake/heap_doors.h"
#include "sampler/heap.h"
#include "sampler/sample.h"
#include "sampler/threads.h"

#define PAGE_BYTES 4096u
#define PAGES      64u          /* from the begin of a slot: fewer than those of a chunk */
#define SAMPLES    50

static const struct sample_losses losses = { COUNT_HEAP_NO_STACK, COUNT_HEAP_NO_SITE };
static unsigned frames;         /* of the last sample */

static __attribute__((noinline)) void sample(enum capture_kind kind)
{
	struct capture *c = threads_capture(kind);
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	struct site_key key = { 0 };

	threads_begin(kind);
	regs_here(&c->regs);
	assert_int_not_equal(sample_row(c, &bounds, &heap_table, &key, &losses), 0);
	threads_end(kind);
	frames = c->seen;
}

/* As far down as that, by two ways. */
static __attribute__((noinline)) int descend(unsigned depth, enum capture_kind kind, unsigned way)
{
	volatile int here = (int)way;

	if (depth == 0)
		sample(kind);
	else if (way % 2 != 0)
		here += descend(depth - 1, kind, way / 2) + here;
	else
		here -= descend(depth - 1, kind, way / 2);
	return here;
}

/* Of the slot's: untouched ones are not there. */
static unsigned touched(void)
{
	uint64_t entry[PAGES];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned n = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, entry, sizeof(entry),
			       (off_t)((uintptr_t)self.slot / PAGE_BYTES * sizeof(entry[0]))),
			 sizeof(entry));
	close(fd);
	for (unsigned i = 0; i < PAGES; i++)
		n += (entry[i] >> 62 & 3) != 0; /* present, or swapped out */
	return n;
}

static unsigned touched_by(unsigned depth)
{
	for (unsigned i = 0; i < SAMPLES; i++)
		for (int kind = 0; kind < CAPTURE_KINDS; kind++)
			(void)descend(depth, kind, i);
	assert_in_range(frames, depth, threads_depth());
	return touched();
}

static void a_slot_is_one_page_and_two_where_stacks_are_deep(void **state)
{
	(void)state;
	assert_int_equal(heap_init(1u << 20), 0);
	/* On a stack that is not known there is no memo. */
	self.slot->stack_lo = self.slot->stack_hi - (8u << 20);
	assert_int_equal(touched(), 1);
	assert_int_equal(touched_by(5), 1);
	assert_int_equal(touched_by(30), 1);
	assert_in_range(touched_by(100), 2, 4);
}

static int begin(void **state)
{
	(void)state;
	return heap_doors_begin();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_is_one_page_and_two_where_stacks_are_deep),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
