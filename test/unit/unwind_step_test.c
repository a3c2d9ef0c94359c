/* Executes a workload one instruction at a time (the trap flag) and unwinds at each of them: every
 * prologue and epilogue, PLT stubs, the loader's lazy binding, libc's assembler, stacks that are
 * being realigned.  libgcc's unwinder, which throws exceptions through all of that, must agree.
 * Then the same from SIGPROF, at whatever places a fast timer finds. */
#include "sampler/unwind.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unwind.h>
#include <wchar.h>

#include <cmocka.h>

#include "fake/child.h"
#include "test/unit/unwind_live.h"

#define TRAP_FLAG 0x100

/* The thread sanitizer delays signals, and cannot be entered from a trap inside of itself. */
#ifdef __has_feature
#define TRAPS_ALLOWED (!__has_feature(thread_sanitizer))
#elif defined(__SANITIZE_THREAD__)
#define TRAPS_ALLOWED 0
#else
#define TRAPS_ALLOWED 1
#endif

static struct unwind_stack_bounds bounds;
static struct unwind_work work;

/* What libgcc says, from the interrupted frame on. */
struct theirs {
	uintptr_t pc[LIVE_DEPTH];
	unsigned  depth;
	uintptr_t from_pc, from_sp;
};

static struct {
	unsigned  looks, differ, longer;
	unsigned long frames, same;     /* of the memo */
	uintptr_t ours[LIVE_DEPTH];
	unsigned  depth;
	struct theirs theirs;
	/* The first difference. */
	uintptr_t bad_ours[LIVE_DEPTH];
	unsigned  bad_depth;
	struct theirs bad_theirs;
} seen;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *to)
{
	struct theirs *t = to;
	int exact = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &exact);

	if (t->depth == 0 && !(exact && pc == t->from_pc))
		return _URC_NO_REASON;
	if (t->depth < LIVE_DEPTH && pc != 0)
		t->pc[t->depth++] = pc - (exact ? 0 : 1);
	return _URC_NO_REASON;
}

static void compare(const ucontext_t *uc)
{
	struct regs regs;
	enum unwind_end end;
	bool same;

	live.memo.walks = live.memo.same = 0;           /* it never rests */
	regs_from_signal(&regs, uc);
	seen.theirs = (struct theirs){ .from_pc = regs.r[REGS_PC] };
	end = unwind_stack(&regs, &bounds, UNWIND_AUTO, &work, live_memo(), seen.ours, LIVE_DEPTH,
			   &seen.depth);
	_Unwind_Backtrace(add_frame, &seen.theirs);
	seen.frames += seen.depth;
	seen.same += live.memo.same;
	seen.looks++;
	/* libgcc ends where no table is; we may know more. */
	same = seen.depth >= seen.theirs.depth &&
	       memcmp(seen.ours, seen.theirs.pc, seen.theirs.depth * sizeof(uintptr_t)) == 0;
	seen.longer += same && seen.depth > seen.theirs.depth;
	if (same && end == UNWIND_COMPLETE)
		return;
	if (seen.differ++ > 0)
		return;
	memcpy(seen.bad_ours, seen.ours, sizeof(seen.ours));
	seen.bad_depth = seen.depth;
	seen.bad_theirs = seen.theirs;
}

static void report(const char *what)
{
	print_message("%s, %s: %u stacks, %u differ, %u longer than libgcc's; %lu of %lu frames of the "
		      "memo\n", what, live_name[live.layers], seen.looks, seen.differ, seen.longer,
		      seen.same, seen.frames);
	for (unsigned i = 0; seen.differ > 0 && i < LIVE_DEPTH; i++) {
		if (i >= seen.bad_depth && i >= seen.bad_theirs.depth)
			break;
		print_message("%3u %16lx %16lx\n", i, i < seen.bad_depth ? seen.bad_ours[i] : 0,
			      i < seen.bad_theirs.depth ? seen.bad_theirs.pc[i] : 0);
	}
}

/* --- the workload ---------------------------------------------------------------------------- */

static volatile long sink;
static volatile double sink_double;

static NO_FRAME_POINTER long fib(long n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static NO_FRAME_POINTER int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Many registers to save, and a way out in between. */
static NO_FRAME_POINTER long busy(long a, long b, long c, long d)
{
	volatile long space[40];

	if (a == 0)
		return b;
	space[a & 31] = d;
	for (long i = 0; i < 3; i++)
		b += fib(a & 3) * c + d * i + space[i & 31] * 0;
	return busy(a - 1, b, c + 1, d ^ b) + a * d + c;
}

static NO_FRAME_POINTER long realigned(long n)
{
	_Alignas(64) volatile char aligned[256];
	volatile char *more = __builtin_alloca((size_t)n);

	more[0] = aligned[n & 63] = (char)fib(3);
	return more[0] + aligned[0];
}

static __attribute__((noinline)) long framed(long n)
{
	volatile char *space = __builtin_alloca((size_t)n);

	space[0] = 1;
	return n > 10 ? framed(n - 7) + space[0] : busy(2, n, 3, 4);
}

static NO_FRAME_POINTER void run_workload(void)
{
	int numbers[] = { 9, 3, 7, 1, 5, 2, 8 };
	char text[200], copy[200];

	sink = fib(6) + busy(4, 1, 2, 3) + realigned(40) + realigned(7) + framed(40);
	qsort(numbers, COUNT_OF(numbers), sizeof(int), by_value);
	/* Called for the first time: bound lazily where the linker was left its default. */
	sink = snprintf(text, sizeof(text), "%d %s %.3f", numbers[0], "text", 2.5);
	memcpy(copy, text, sizeof(copy));
	sink = (long)strlen(copy) + strtol(copy, NULL, 10) + memcmp(copy, text, 200);
	sink_double = strtod("3.25", NULL);
	sink = (long)mbstowcs(NULL, copy, 0) + strcasecmp(copy, text) + labs(sink);
}

/* --- every instruction ----------------------------------------------------------------------- */

static volatile sig_atomic_t stepping;

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	if (!stepping) {
		uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	compare(uc);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static enum live_layers layers;

static void step(void)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	/* Rows are wiped in a child. */
	tables_after_fork();
	CHILD_DEMAND(live_compile() >= 3);
	live_use(layers);
	memset(&seen, 0, sizeof(seen));
	sigaction(SIGTRAP, &action, NULL);
	stepping = 1;
	raise(SIGTRAP);                 /* its handler returns with the flag set */
	run_workload();
	stepping = 0;
	__asm__ volatile("nop");
	report("steps");
	fflush(stdout);
	CHILD_DEMAND(seen.looks > 5000);
	CHILD_DEMAND(seen.differ == 0);
	/* The memo is of use. */
	CHILD_DEMAND(layers < LIVE_MEMO || seen.same > seen.frames / 2);
}

/* Each in a process of its own: functions are bound lazily once. */
static void every_instruction_unwinds_as_libgcc_says(void **state)
{
	(void)state;
	if (!TRAPS_ALLOWED)
		skip();
	for (layers = LIVE_TABLES; layers < LIVE_LAYERS; layers++)
		assert_child(step);
}

/* --- whenever a timer fires ------------------------------------------------------------------- */

static void on_tick(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	compare(context);
}

static void any_place_that_sigprof_finds_unwinds_as_libgcc_says(void **state)
{
	struct sigaction action = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
	struct itimerspec fast = { { 0, 50000 }, { 0, 50000 } };
	timer_t timer;

	(void)state;
	if (!TRAPS_ALLOWED)
		skip();
	live_use(LIVE_MEMO);
	memset(&seen, 0, sizeof(seen));
	sigaction(SIGPROF, &action, NULL);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &fast, NULL), 0);
	for (unsigned i = 0; i < 1000000 && seen.looks < 5000; i++)
		run_workload();
	timer_delete(timer);
	signal(SIGPROF, SIG_IGN);
	report("ticks");
	assert_true(seen.looks >= 1000);
	assert_int_equal(seen.differ, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_instruction_unwinds_as_libgcc_says),
		cmocka_unit_test(any_place_that_sigprof_finds_unwinds_as_libgcc_says),
	};

	_Unwind_Backtrace(add_frame, &seen.theirs);
	live_start();
	if (live_compile() < 3)
		return 1;
	bounds = live_bounds();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
