/* A walk by libunwind: the same addresses as ours, with memory that it may read, and the stack that
 * it takes of a handler's. */
#include "sampler/unwind_libunwind.h"

#include <alloca.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include "preload/libunwind.h"
#include "test/unit/unwind_live.h"

static struct unwind_stack_bounds bounds;
static struct unwind_work own_work;
static struct unwind_libunwind work;
static struct regs here, again;
static uintptr_t own[LIVE_DEPTH], its[LIVE_DEPTH];
static unsigned own_depth, its_depth;
static enum unwind_end own_end, its_end;
static volatile long sink;

static void walk_twice(void)
{
	again = here;
	own_end = unwind_stack(&again, &bounds, UNWIND_AUTO, &own_work, NULL, own, LIVE_DEPTH,
			       &own_depth);
	its_end = unwind_libunwind(&here, &bounds, &work, its, LIVE_DEPTH, &its_depth);
}

static void check_same(void)
{
	assert_int_equal(its_end, UNWIND_COMPLETE);
	assert_int_equal(own_end, UNWIND_COMPLETE);
	assert_int_equal(its_depth, own_depth);
	assert_memory_equal(its, own, own_depth * sizeof(own[0]));
}

/* --- addresses ------------------------------------------------------------------------------- */

static NO_FRAME_POINTER void from_a_call(void)
{
	regs_here(&here);
	walk_twice();
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

static NO_FRAME_POINTER long deep(long n, void (*then)(void))
{
	return n == 0 ? realigned(5000, then) : deep(n - 1, then) + 1;
}

static void a_call_has_the_addresses_that_we_find(void **state)
{
	(void)state;
	sink = deep(20, from_a_call);
	check_same();
	assert_in_range(its_depth, 24, LIVE_DEPTH);
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)info;
	regs_from_signal(&here, uc);
	walk_twice();
}

/* A trampoline in the midst: this and the frame behind it are exact. */
static void in_a_handler(int sig)
{
	(void)sig;
	from_a_call();
}

static NO_FRAME_POINTER void raise_usr1(void)
{
	raise(SIGUSR1);
}

static void a_signal_has_the_addresses_that_we_find(void **state)
{
	struct sigaction outside = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct sigaction midway = { .sa_handler = in_a_handler };

	(void)state;
	sigaction(SIGUSR1, &outside, NULL);
	sink = deep(3, raise_usr1);
	check_same();
	sigaction(SIGUSR1, &midway, NULL);
	sink = deep(3, raise_usr1);
	check_same();
	signal(SIGUSR1, SIG_DFL);
}

static NO_FRAME_POINTER void from_a_call_with_little_room(void)
{
	regs_here(&here);
	its[5] = 0;
	its_end = unwind_libunwind(&here, &bounds, &work, its, 5, &its_depth);
}

static void no_more_than_there_is_room_for(void **state)
{
	(void)state;
	sink = deep(20, from_a_call_with_little_room);
	assert_int_equal(its_end, UNWIND_TRUNCATED);
	assert_int_equal(its_depth, 5);
	assert_int_equal(its[5], 0);
}

/* --- what it may read ------------------------------------------------------------------------ */

/* A stack that ends in a page that cannot be read. */
static void memory_that_is_not_there_ends_the_walk(void **state)
{
	char *map = mmap(NULL, 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const struct unwind_stack_bounds none;

	(void)state;
	mprotect(map, 4096, PROT_READ | PROT_WRITE);
	for (unsigned offset = 0; offset <= 64; offset += 4) {
		regs_here(&here);
		here.r[REGS_SP] = here.r[REGS_BP] = (uintptr_t)map + 4096 - 32 + offset;
		its_end = unwind_libunwind(&here, &none, &work, its, LIVE_DEPTH, &its_depth);
		assert_in_range(its_depth, 1, 3);
	}
	here.r[REGS_PC] = (uintptr_t)map + 5000;
	its_end = unwind_libunwind(&here, &none, &work, its, LIVE_DEPTH, &its_depth);
	assert_in_range(its_depth, 1, 3);
	munmap(map, 2 * 4096);
}

/* The program's own walks go the way that libunwind has for them. */
static void the_host_may_walk_too(void **state)
{
	void *lib = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	int (*backtrace)(void **, int) = (int (*)(void **, int))dlsym(lib, "unw_backtrace");
	void *frame[8];

	(void)state;
	assert_non_null(backtrace);
	assert_false(unwind_libunwind_walks());
	assert_int_equal(backtrace(frame, 8) > 3, 1);
	dlclose(lib);
}

static void the_signal_mask_stays(void **state)
{
	sigset_t one, after;

	(void)state;
	sigemptyset(&one);
	sigaddset(&one, SIGUSR2);
	sigprocmask(SIG_SETMASK, &one, NULL);
	from_a_call();
	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_memory_equal(&one, &after, 8);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

/* --- its stack ------------------------------------------------------------------------------- */

#define PAINT 0x5a
/* Of its functions, for an object without .eh_frame_hdr: there is none here. */
#define LARGEST_FRAME 4264

static char painted[64 << 10];
static ucontext_t outside, inside;
static uintptr_t measured_sp;
static size_t used;

static void measure(void)
{
	struct regs top;

	regs_here(&top);
	measured_sp = top.r[REGS_SP];
	its_end = unwind_libunwind(&here, &bounds, &work, its, LIVE_DEPTH, &its_depth);
	swapcontext(&inside, &outside);
}

static NO_FRAME_POINTER void find_stack_used(void)
{
	size_t clean = 0;

	memset(painted, PAINT, sizeof(painted));
	getcontext(&inside);
	inside.uc_stack = (stack_t){ .ss_sp = painted, .ss_size = sizeof(painted) };
	inside.uc_link = &outside;
	makecontext(&inside, measure, 0);
	regs_here(&here);
	swapcontext(&outside, &inside);
	while (painted[clean] == PAINT)
		clean++;
	used = measured_sp - (uintptr_t)(painted + clean);
}

static void in_a_handler_measured(int sig)
{
	(void)sig;
	find_stack_used();
}

/* The first walk of a place reads tables, later ones what libunwind kept of them. */
static void the_walk_takes_no_more_stack_than_we_say(void **state)
{
	(void)state;
	sink = deep(20, find_stack_used);
	assert_int_equal(its_end, UNWIND_COMPLETE);
	print_message("stack used: %zu bytes\n", used);
#ifndef SHIM_CHECKS
	assert_in_range(used, 200, UNWIND_LIBUNWIND_WALK_BYTES - LARGEST_FRAME);
#endif
	signal(SIGUSR1, in_a_handler_measured);
	sink = deep(20, raise_usr1);
	assert_int_equal(its_end, UNWIND_COMPLETE);
	print_message("stack used: %zu bytes\n", used);
#ifndef SHIM_CHECKS
	assert_in_range(used, 200, UNWIND_LIBUNWIND_WALK_BYTES - LARGEST_FRAME);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_walk_takes_no_more_stack_than_we_say),
		cmocka_unit_test(a_call_has_the_addresses_that_we_find),
		cmocka_unit_test(a_signal_has_the_addresses_that_we_find),
		cmocka_unit_test(no_more_than_there_is_room_for),
		cmocka_unit_test(memory_that_is_not_there_ends_the_walk),
		cmocka_unit_test(the_host_may_walk_too),
		cmocka_unit_test(the_signal_mask_stays),
	};

	if (!libunwind_open())
		return 1;
	live_start();
	bounds = live_bounds();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
