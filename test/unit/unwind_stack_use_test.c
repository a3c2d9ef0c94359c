/* How much stack a walk takes: a handler's may be small.  It runs on a painted stack, and what it
 * has written to is counted. */
#include "sampler/unwind.h"

#include <alloca.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "test/unit/unwind_live.h"

#define PAINT 0x5a

static char painted[64 << 10];
static ucontext_t outside, inside;

static struct unwind_stack_bounds bounds;
static struct unwind_work work;
static uintptr_t ours[LIVE_DEPTH];
static unsigned depth;
static enum unwind_end end;
static volatile long sink;
static struct regs walked;
static const struct unwind_stack_bounds *walked_bounds;
static uintptr_t measured_sp;

/* On the painted stack: walks the one that it was called from. */
static void measure(void)
{
	struct regs here;

	regs_here(&here);
	measured_sp = here.r[REGS_SP];
	end = unwind_stack(&walked, walked_bounds, UNWIND_AUTO, &work, live_memo(), ours, LIVE_DEPTH,
			   &depth);
	swapcontext(&inside, &outside);
}

static size_t used;

/* Bytes below the stack pointer of unwind_stack's caller that it wrote to. */
static NO_FRAME_POINTER void find_stack_used(void)
{
	size_t clean = 0;

	memset(painted, PAINT, sizeof(painted));
	getcontext(&inside);
	inside.uc_stack = (stack_t){ .ss_sp = painted, .ss_size = sizeof(painted) };
	inside.uc_link = &outside;
	makecontext(&inside, measure, 0);
	regs_here(&walked);
	swapcontext(&outside, &inside);
	while (painted[clean] == PAINT)
		clean++;
	used = measured_sp - (uintptr_t)(painted + clean);
}

/* gcc keeps the old stack pointer in a slot: the CFA is an expression. */
static NO_FRAME_POINTER long realigned(long n, void (*then)(void))
{
	_Alignas(64) volatile char aligned[256];
	volatile char *more = alloca((size_t)n);

	more[0] = aligned[n & 63] = 1;
	then();
	return more[0] + aligned[0];
}

/* The most is used where a CFA is an expression, on a stack that is probed. */
static void the_walk_takes_little_stack(void **state)
{
	static const struct unwind_stack_bounds none;
	const struct unwind_stack_bounds *const both[] = { &bounds, &none };

	(void)state;
	for (unsigned i = 0; i < LIVE_LAYERS * COUNT_OF(both); i++) {
		live_use((enum live_layers)(i % LIVE_LAYERS));
		walked_bounds = both[i / LIVE_LAYERS];
		/* Once before: binding memcpy takes the loader 3 KiB. */
		sink = realigned(5000, find_stack_used);
		live_use(live.layers);
		sink = realigned(5000, find_stack_used);
		assert_int_equal(end, UNWIND_COMPLETE);
		print_message("%s: %zu bytes of stack\n", live_name[live.layers], used);
#if defined(__OPTIMIZE__) && !defined(SHIM_CHECKS)
		assert_in_range(used, 200, 1024);
#endif
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_walk_takes_little_stack),
	};

	live_start();
	if (live_compile() < 3)
		return 1;
	bounds = live_bounds();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
