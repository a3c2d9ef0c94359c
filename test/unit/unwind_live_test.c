/* Unwinds itself, in places of every kind, and compares with what glibc's backtrace() says and with
 * what the functions knew on their way. */
#include "sampler/unwind.h"

#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "fake/child.h"
#include "test/unit/unwind_live.h"

static struct unwind_stack_bounds bounds;
static struct unwind_work work;
static uintptr_t ours[LIVE_DEPTH];
static void *theirs[LIVE_DEPTH];
static unsigned depth, their_depth;
static enum unwind_end end;

/* Both stacks of the caller.  Frame 0 is this function's. */
static NO_FRAME_POINTER void look(void)
{
	struct regs regs;

	regs_here(&regs);
	end = unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, live_memo(), ours, LIVE_DEPTH, &depth);
	their_depth = (unsigned)backtrace(theirs, LIVE_DEPTH);
}

/* Sanitizers have a backtrace() of their own, which adds itself. */
#ifdef SHIM_CHECKS
#define EXTRA_MAX 1u
#else
#define EXTRA_MAX 0u
#endif

/* backtrace() has return addresses as they are; where there is none, that is, in what was
 * interrupted and in the trampoline, both have the same. */
static void check_same(unsigned at_least)
{
	unsigned extra = their_depth - depth;

	assert_int_equal(end, UNWIND_COMPLETE);
	assert_in_range(extra, 0, EXTRA_MAX);
	assert_true(depth >= at_least);
	for (unsigned i = 1; i < depth; i++)
		assert_true((uintptr_t)theirs[i + extra] - ours[i] <= 1);
}

/* --- a chain of functions with known return addresses --------------------------------------- */

static uintptr_t known[LIVE_DEPTH];
static unsigned known_depth;
static volatile long sink;

#define LINK(name, next, words)                                         \
	static NO_FRAME_POINTER long name(long a, long b, long c)       \
	{                                                               \
		volatile long space[words];                             \
									\
		known[known_depth++] = (uintptr_t)__builtin_return_address(0); \
		space[a & 3] = b;                                       \
		a += next(a + 1, b + c, c ^ a);                         \
		return a + b * c + space[0];                            \
	}

static NO_FRAME_POINTER long chain_end(long a, long b, long c)
{
	known[known_depth++] = (uintptr_t)__builtin_return_address(0);
	look();
	sink = a + b + c;
	return sink;
}

LINK(chain_1, chain_end, 4)
LINK(chain_2, chain_1, 5)
LINK(chain_3, chain_2, 100)
LINK(chain_4, chain_3, 20000)
LINK(chain_5, chain_4, 7)

static NO_FRAME_POINTER long chain_deep(long n, long b, long c)
{
	known[known_depth++] = (uintptr_t)__builtin_return_address(0);
	b += n > 0 ? chain_deep(n - 1, b + 1, c) : chain_5(n, b, c);
	return b + c;
}

static void a_deep_chain_is_found_frame_by_frame(void **state)
{
	(void)state;
	known_depth = 0;
	chain_deep(100, 2, 3);
	check_same(100);
	for (unsigned i = 0; i < known_depth; i++)
		assert_int_equal(ours[i + 2], known[known_depth - 1 - i] - 1);
}

static void an_unknown_stack_is_walked_all_the_same(void **state)
{
	struct unwind_stack_bounds own = bounds;

	(void)state;
	bounds = (struct unwind_stack_bounds){ 0 };
	known_depth = 0;
	chain_deep(100, 2, 3);
	bounds = own;
	check_same(100);
}

/* --- functions that move or realign their stack --------------------------------------------- */

/* An aligned local in a function with alloca: gcc keeps the old stack pointer in a register and
 * then in a slot, and the CFA is an expression. */
static NO_FRAME_POINTER long realigned(long n, void (*then)(void))
{
	_Alignas(64) volatile char aligned[256];
	volatile char *more = alloca((size_t)n);

	more[0] = aligned[n & 63] = 1;
	then();
	return more[0] + aligned[0];
}

static void realigned_stacks_are_walked(void **state)
{
	(void)state;
	for (long n = 1; n < 100; n += 7) {
		sink = realigned(n, look);
		check_same(3);
	}
}

/* --- through libc --------------------------------------------------------------------------- */

static NO_FRAME_POINTER int compare(const void *a, const void *b)
{
	look();
	return *(const int *)a - *(const int *)b;
}

static void callbacks_of_libc_are_walked(void **state)
{
	int numbers[] = { 3, 1, 2, 5, 4 };

	(void)state;
	qsort(numbers, COUNT_OF(numbers), sizeof(int), compare);
	check_same(4);
	sink = bsearch(&numbers[1], numbers, COUNT_OF(numbers), sizeof(int), compare) != NULL;
	check_same(4);
}

/* --- signal handlers and threads ------------------------------------------------------------ */

static NO_FRAME_POINTER void on_signal(int sig)
{
	(void)sig;
	look();
}

static void a_handler_is_walked_through(void **state)
{
	(void)state;
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_DFL);
	check_same(5);
}

static void a_handler_on_an_alternate_stack_is_walked_through(void **state)
{
	static char space[64 << 10];
	stack_t alternate = { .ss_sp = space, .ss_size = sizeof(space) }, before;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	(void)state;
	sigaltstack(&alternate, &before);
	bounds.alt_lo = (uintptr_t)space;
	bounds.alt_hi = bounds.alt_lo + sizeof(space);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	check_same(5);
	bounds.alt_lo = bounds.alt_hi = 0;              /* nobody told us */
	raise(SIGUSR1);
	check_same(5);
	signal(SIGUSR1, SIG_DFL);
	sigaltstack(&before, NULL);
}

static void *run_thread(void *unused)
{
	struct unwind_stack_bounds own = bounds;

	(void)unused;
	bounds = live_bounds();
	known_depth = 0;
	chain_deep(20, 2, 3);
	bounds = own;
	return NULL;
}

static void a_thread_is_walked_to_its_start(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, NULL), 0);
	pthread_join(thread, NULL);
	check_same(22);
}

/* --- coroutines ----------------------------------------------------------------------------- */

static ucontext_t outside, inside;

static void coroutine(void)
{
	known_depth = 0;
	chain_deep(10, 2, 3);
	swapcontext(&inside, &outside);
}

static void a_coroutine_is_walked_and_no_further(void **state)
{
	static char space[256 << 10];

	(void)state;
	getcontext(&inside);
	inside.uc_stack = (stack_t){ .ss_sp = space, .ss_size = sizeof(space) };
	inside.uc_link = &outside;
	makecontext(&inside, coroutine, 0);
	swapcontext(&outside, &inside);
	assert_true(depth >= known_depth + 2);
	for (unsigned i = 0; i < known_depth; i++)
		assert_int_equal(ours[i + 2], known[known_depth - 1 - i] - 1);
}

/* --- fork children --------------------------------------------------------------------------- */

/* Its rows are wiped, and nothing else is known of its code. */
static void walk_in_child(void)
{
	live_use(LIVE_RULES);
	for (unsigned i = 0; i < live.texts; i++) {
		const struct rows *rows = live.text[i].tables != NULL ? live.text[i].tables->rows : NULL;

		CHILD_DEMAND(rows == NULL || rows_find(rows, rows->first) == RULES_NONE);
	}
	for (unsigned round = 0; round < 2; round++) {
		end = UNWIND_TRUNCATED;
		known_depth = 0;
		chain_deep(30, 2, 3);
		CHILD_DEMAND(end == UNWIND_COMPLETE);
		for (unsigned i = 0; i < known_depth; i++)
			CHILD_DEMAND(ours[i + 2] == known[known_depth - 1 - i] - 1);
		/* And what is found so is kept. */
		CHILD_DEMAND(rules_find(ours[3]) != RULES_NONE);
		live_use(LIVE_RULES);
		tables_after_fork();
	}
	CHILD_DEMAND(live_compile() >= 3);
}

static void a_fork_child_walks_without_its_parents_rows(void **state)
{
	(void)state;
	assert_child(walk_in_child);
}

static int run_with(enum live_layers layers)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deep_chain_is_found_frame_by_frame),
		cmocka_unit_test(an_unknown_stack_is_walked_all_the_same),
		cmocka_unit_test(realigned_stacks_are_walked),
		cmocka_unit_test(callbacks_of_libc_are_walked),
		cmocka_unit_test(a_handler_is_walked_through),
		cmocka_unit_test(a_handler_on_an_alternate_stack_is_walked_through),
		cmocka_unit_test(a_thread_is_walked_to_its_start),
		cmocka_unit_test(a_coroutine_is_walked_and_no_further),
		cmocka_unit_test(a_fork_child_walks_without_its_parents_rows),
	};

	live_use(layers);
	return cmocka_run_group_tests_name(live_name[layers], tests, NULL, NULL);
}

int main(void)
{
	int failed = 0;

	theirs[0] = NULL;
	sink = backtrace(theirs, 1);            /* loads libgcc_s */
	live_start();
	if (live_compile() < 3)
		return 1;
	bounds = live_bounds();
	for (enum live_layers layers = LIVE_TABLES; layers < LIVE_LAYERS; layers++)
		failed += run_with(layers);
	return failed;
}
