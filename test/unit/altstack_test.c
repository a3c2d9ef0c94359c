#include "sampler/altstack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_ctl.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/threads.h"

static stack_t stack(size_t bytes, int flags)
{
	static char some[1];

	return (stack_t){ .ss_sp = some, .ss_size = bytes, .ss_flags = flags };
}

static bool is_small(size_t bytes, int flags)
{
	stack_t ss = stack(bytes, flags);

	return altstack_is_small(&ss);
}

static void small_is_what_holds_no_tick_beside_the_kernels_frame(void **state)
{
	(void)state;
	/* Where the kernel does not say: more than it can be. */
	assert_true(is_small(ALTSTACK_FRAME_BYTES + ALTSTACK_TICK_BYTES - 1, 0));
	assert_false(is_small(ALTSTACK_FRAME_BYTES + ALTSTACK_TICK_BYTES, 0));
	altstack_init(0);
	assert_true(is_small(ALTSTACK_FRAME_BYTES + ALTSTACK_TICK_BYTES - 1, 0));
	altstack_init(3376);
	assert_true(is_small(3376 + ALTSTACK_TICK_BYTES - 1, 0));
	assert_true(is_small(1, SS_ONSTACK));
	assert_true(is_small(1, (int)(1u << 31)));      /* SS_AUTODISARM */
	assert_false(is_small(3376 + ALTSTACK_TICK_BYTES, 0));
	/* libc's old constant, which Rust gives each of its threads: large with AVX-512 too. */
	assert_false(is_small(8192, 0));
	assert_false(is_small(1, SS_DISABLE));
	assert_false(is_small(0, 0));   /* a signal frame's, where there never was one */
}

static void full_is_where_a_handler_has_used_it_up(void **state)
{
	stack_t ss = stack(16384, 0);
	uintptr_t lo = (uintptr_t)ss.ss_sp;

	(void)state;
	assert_false(altstack_is_full(&ss, lo + 16384));
	assert_false(altstack_is_full(&ss, lo + ALTSTACK_TICK_BYTES));
	assert_true(altstack_is_full(&ss, lo + ALTSTACK_TICK_BYTES - 1));
	assert_true(altstack_is_full(&ss, lo));
	assert_false(altstack_is_full(&ss, lo - 1));
	ss.ss_flags = SS_DISABLE;
	assert_false(altstack_is_full(&ss, lo));
}

static void more_is_needed_where_code_of_others_is_in_it(void **state)
{
	stack_t ss = stack(16384, 0);
	uintptr_t lo = (uintptr_t)ss.ss_sp;

	(void)state;
	altstack_need(8192);
	assert_true(is_small(3376 + 8191, 0));
	assert_false(is_small(3376 + 8192, 0));
	assert_true(altstack_is_full(&ss, lo + 8191));
	assert_false(altstack_is_full(&ss, lo + 8192));
	altstack_need(ALTSTACK_TICK_BYTES);
}

/* --- a tick ---------------------------------------------------------------------------------- */

#define PAINT 0x5a

static char painted[64 << 10];
static ucontext_t outside, inside, interrupted;
static siginfo_t info;
static uintptr_t began;

static void tick_on_painted_stack(void)
{
	began = (uintptr_t)__builtin_frame_address(0);
	cpu_tick(&info, &interrupted);
	swapcontext(&inside, &outside);
}

/* Bytes below cpu_tick's caller that are written to. */
static size_t tick(void)
{
	size_t clean = 0;

	memset(painted, PAINT, sizeof(painted));
	getcontext(&inside);
	inside.uc_stack = (stack_t){ .ss_sp = painted, .ss_size = sizeof(painted) };
	inside.uc_link = &outside;
	makecontext(&inside, tick_on_painted_stack, 0);
	getcontext(&interrupted);
	interrupted.uc_stack = (stack_t){ .ss_flags = SS_DISABLE };
	swapcontext(&outside, &inside);
	while (painted[clean] == PAINT)
		clean++;
	return began - (uintptr_t)(painted + clean);
}

static NOINLINE uint64_t samples(void)
{
	uint64_t total = 0, value[SITES_VALUES];
	struct site_key key;

	for (uint32_t row = 1; row < sites_end(&cpu_table.sites); row++)
		if (sites_read(&cpu_table.sites, row, &key, value))
			total += value[CPU_SAMPLES];
	return total;
}

static void a_tick_fits_into_what_we_ask_for(void **state)
{
	size_t used;

	(void)state;
	tick();                         /* maps what it needs, binds what it calls */
	used = tick();
	assert_int_equal(samples(), 2);
	print_message("stack used: %zu bytes\n", used);
#if defined(__OPTIMIZE__) && !defined(SHIM_CHECKS)
	/* The handler around it has a frame of a few words. */
	assert_in_range(used, 200, ALTSTACK_TICK_BYTES - 64);
#endif
}

static void a_tick_on_a_small_stack_is_the_last_one(void **state)
{
	uint64_t before = samples(), small = count_get(COUNT_THREAD_SMALL_ALTSTACK);

	(void)state;
	getcontext(&interrupted);
	interrupted.uc_stack = stack(4096, 0);
	cpu_tick(&info, &interrupted);
	cpu_tick(&info, &interrupted);
	assert_int_equal(samples(), before);
	assert_int_equal(count_get(COUNT_THREAD_SMALL_ALTSTACK), small + 1);
	assert_int_equal(self.slot->held & CPU_HOLDS, CPU_HOLD_STACK);
	cpu_ctl_release(CPU_HOLD_STACK);
}

static void a_tick_without_room_is_counted(void **state)
{
	uint64_t before = samples();
	char here;

	(void)state;
	getcontext(&interrupted);
	interrupted.uc_stack = (stack_t){ .ss_size = 65536 };
	/* Of what it may use, cpu_tick itself has the rest. */
	interrupted.uc_stack.ss_sp = (void *)((uintptr_t)&here - ALTSTACK_TICK_BYTES / 4 * 3);
	cpu_tick(&info, &interrupted);
	assert_int_equal(samples(), before);
	assert_int_equal(count_get(COUNT_CPU_NO_ROOM), 1);
	interrupted.uc_stack.ss_sp = (void *)((uintptr_t)&here - 4 * ALTSTACK_TICK_BYTES);
	cpu_tick(&info, &interrupted);
	assert_int_equal(samples(), before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_is_what_holds_no_tick_beside_the_kernels_frame),
		cmocka_unit_test(full_is_where_a_handler_has_used_it_up),
		cmocka_unit_test(more_is_needed_where_code_of_others_is_in_it),
		cmocka_unit_test(a_tick_fits_into_what_we_ask_for),
		cmocka_unit_test(a_tick_on_a_small_stack_is_the_last_one),
		cmocka_unit_test(a_tick_without_room_is_counted),
	};

	threads_init(64);
	sample_init(UNWIND_AUTO);
	if (modules_scan(true) < 0 || cpu_init(4 << 20) < 0)
		return 1;
	cpu_set_period(1000000);
	threads_enter(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
