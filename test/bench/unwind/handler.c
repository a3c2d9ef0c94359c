/* handler.c -- a preload that takes stacks in a SIGPROF handler of a real program, as the product
 * does, and times each: the handler is the first to touch the stack, caches hold what the program
 * had there.
 *
 * Ticks take turns: ours, ours without memo, libunwind's unw_step, all that the product does in a
 * tick (which puts the stack into its tables) is the first, and timed.  Then the others walk, and
 * ours is compared with libunwind's.  At its end the program writes a
 * line for each tick to the file HANDLER_OUT, with its process id behind the name:
 *
 *     WAY FRAMES NS VERDICT
 *
 * VERDICT: same, longer (ours goes on where libunwind's ends), other.
 * HANDLER_HZ: ticks per second of CPU time.  Only the main thread is sampled. */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "sampler/compiler.h"
#include "sampler/cpu.h"
#include "sampler/modules_scan.h"
#include "sampler/sample.h"
#include "sampler/threads.h"
#include "sampler/unwind.h"
#include "sampler/unwind_ahead.h"
#include "sampler/unwind_memo.h"
#include "test/bench/unwind/machine.h"
#include "sampler/tables.h"

#define FRAMES_MAX      128
#define TICKS_MAX       (1 << 16)
#define MAIN_STACK_BYTES ((uintptr_t)128 << 20) /* unwind.h: the gap that the kernel leaves */
#define SCAN_US         10000
#define MEMORY_BYTES    ((uint64_t)32 << 20)    /* init.c: half of PPROFSHIM_MEMORY */

enum way { OURS, OURS_NO_MEMO, LIBUNWIND, WHOLE, WAYS };
static const char *const way_names[WAYS] = { "ours", "ours, no memo", "libunwind step",
					     "the whole tick" };

enum verdict { SAME, LONGER, OTHER };
static const char *const verdict_names[] = { "same", "longer", "other" };

struct stack {
	uintptr_t pc[FRAMES_MAX];
	unsigned  depth;
};

struct tick {
	uint64_t ticks;
	uint8_t  way, depth, verdict;
};

static struct {
	struct unwind_stack_bounds bounds;
	struct unwind_work   work;
	struct unwind_memo memo;
	struct unwind_memo_frame memo_frame[FRAMES_MAX], fresh_frame[FRAMES_MAX];
	struct stack      stack[WAYS];
	struct tick       tick[TICKS_MAX];
	unsigned          count;
	pid_t             pid;
	uint64_t          began_ticks, began_ns;
} handler;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void walk_ours(struct stack *s, const ucontext_t *uc, struct unwind_memo *memo)
{
	static struct regs regs;

	regs_from_signal(&regs, uc);
	unwind_look_ahead(&handler.work, memo, &regs, &handler.bounds);
	unwind_memo_know(&handler.memo, modules_version());
	(void)unwind_stack(&regs, &handler.bounds, UNWIND_AUTO, &handler.work, memo, s->pc,
			   FRAMES_MAX, &s->depth);
}

static void walk_libunwind(struct stack *s, ucontext_t *uc)
{
	static unw_cursor_t cursor;
	unw_word_t pc;

	s->depth = 0;
	if (unw_init_local2(&cursor, uc, UNW_INIT_SIGNAL_FRAME) != 0)
		return;
	do {
		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) != 0 || pc == 0)
			break;
		s->pc[s->depth++] = pc;
	} while (s->depth < FRAMES_MAX && unw_step(&cursor) > 0);
}

static void walk(enum way way, ucontext_t *uc)
{
	struct stack *s = &handler.stack[way];

	if (way == LIBUNWIND)
		walk_libunwind(s, uc);
	else if (way == WHOLE)
		cpu_tick(&(siginfo_t){ .si_code = SI_TIMER }, uc);
	else
		walk_ours(s, uc, way == OURS ? &handler.memo : NULL);
}

/* Ours has the address before a return address. */
static enum verdict compare(const struct stack *ours, const struct stack *theirs)
{
	unsigned depth = ours->depth < theirs->depth ? ours->depth : theirs->depth;

	for (unsigned i = 0; i < depth; i++) {
		if (theirs->pc[i] - ours->pc[i] > 1)
			return OTHER;
	}
	return ours->depth == theirs->depth ? SAME : ours->depth > depth ? LONGER : OTHER;
}

static void on_tick(int sig, siginfo_t *info, void *context)
{
	enum way first = handler.count % WAYS;
	enum verdict verdict, no_memo;
	uint64_t began = machine_ticks(), took;

	(void)sig;
	(void)info;
	if (gettid() != handler.pid || handler.count == TICKS_MAX)
		return;
	began = machine_ticks();
	walk(first, context);
	took = machine_ticks() - began;
	for (enum way way = 0; way < WAYS; way++) {
		if (way != first)
			walk(way, context);
	}
	verdict = compare(&handler.stack[OURS], &handler.stack[LIBUNWIND]);
	no_memo = compare(&handler.stack[OURS_NO_MEMO], &handler.stack[LIBUNWIND]);
	handler.tick[handler.count++] = (struct tick){
		.ticks = took, .way = first, .depth = (uint8_t)handler.stack[OURS].depth,
		.verdict = no_memo == verdict ? verdict : OTHER };
}

/* What our thread does in the product, if more often: looks at what was loaded, compiles those of
 * its tables that walks asked for, within the budget. */
static void *scan(void *unused)
{
	(void)unused;
	for (;;) {
		if (modules_are_wanted())
			(void)!modules_scan(false);
		while (tables_compile())
			;
		usleep(SCAN_US);
	}
	return NULL;
}

static void set_timer(void)
{
	const char *hz = getenv("HANDLER_HZ");
	long us = 1000000 / (hz == NULL ? 250 : atol(hz));
	struct itimerval every = { { 0, us }, { 0, us } };
	struct sigaction action = { .sa_sigaction = on_tick,
				    .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };

	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &every, NULL);
}

/* What a tick of the product needs. */
static bool start_ticks(void)
{
	sample_init(UNWIND_AUTO);
	threads_init(FRAMES_MAX);
	if (cpu_init(MEMORY_BYTES) != 0)
		return false;
	threads_enter(NULL);
	self.slot->stack_lo = handler.bounds.lo;
	self.slot->stack_hi = handler.bounds.hi;
	return true;
}

static __attribute__((constructor)) void start(void)
{
	pthread_t thread;
	sigset_t all, before;

	if (getenv("HANDLER_OUT") == NULL || modules_scan(true) != 0)
		return;
	handler.pid = getpid();
	handler.bounds.hi = modules_main_stack_hi();
	handler.bounds.lo = handler.bounds.hi - MAIN_STACK_BYTES;
	handler.memo.frame = handler.memo_frame;
	handler.memo.fresh_frame = handler.fresh_frame;
	handler.memo.max = handler.memo.first = FRAMES_MAX;
	if (!start_ticks())
		return;
	handler.began_ticks = machine_ticks();
	handler.began_ns = now_ns();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, scan, NULL) == 0)
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	set_timer();
}

static __attribute__((destructor)) void finish(void)
{
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	double ns_per_tick = (double)(now_ns() - handler.began_ns) /
			     (double)(machine_ticks() - handler.began_ticks);
	char name[4096];
	FILE *f;

	setitimer(ITIMER_PROF, &never, NULL);
	if (handler.pid != getpid() || handler.count == 0)
		return;
	snprintf(name, sizeof(name), "%s.%d", getenv("HANDLER_OUT"), (int)handler.pid);
	f = fopen(name, "w");
	for (unsigned i = 0; f != NULL && i < handler.count; i++) {
		const struct tick *t = &handler.tick[i];

		fprintf(f, "%s\t%u\t%.0f\t%s\n", way_names[t->way], t->depth,
			(double)t->ticks * ns_per_tick, verdict_names[t->verdict]);
	}
	if (f != NULL)
		fclose(f);
}
