#include "sampler/cpu.h"

#include "sampler/altstack.h"
#include "sampler/asks.h"
#include "sampler/cpu_ctl.h"
#include "sampler/cpu_perf.h"
#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"
#include "sampler/wall_hits.h"

struct generations cpu_table;

static struct {
	_Atomic uint64_t period_ns;
	bool (*_Atomic at_next_tick)(void);
} cpu;

int cpu_init(uint64_t budget_bytes)
{
	/* A new stack of a compiler is eleven new nodes (what-breaks.md F), 300 bytes, and a row of
	 * 108.  Nothing is in use for long, so the generation before is kept as long as can be. */
	static const struct generations_kind kind = {
		.capture = CAPTURE_TICK,
		.rows_eighths = 2,
		.reclaim_eighths = 6,
		.samples_eighths = 8,
		.evicted = COUNT_REASONS,
	};

	return generations_init(&cpu_table, &kind, budget_bytes);
}

const void *cpu_cookie(void)
{
	return &cpu;
}

int cpu_is_tick(const siginfo_t *info)
{
	return (info->si_code == SI_TIMER &&
		(info->si_value.sival_ptr == cpu_cookie() || asks_is(info))) ||
	       cpu_perf_is(info);
}

void cpu_set_period(uint64_t ns)
{
	atomic_store_explicit(&cpu.period_ns, ns, memory_order_relaxed);
}

uint64_t cpu_period(void)
{
	return atomic_load_explicit(&cpu.period_ns, memory_order_relaxed);
}

void cpu_at_next_tick(bool (*f)(void))
{
	atomic_store(&cpu.at_next_tick, f);
}

static const struct sample_losses losses = { COUNT_CPU_NO_STACK, COUNT_CPU_NO_SITE };

/* That have expired by now. */
static uint64_t periods(const siginfo_t *info)
{
	return 1 + (info->si_overrun > 0 ? (uint64_t)info->si_overrun : 0);
}

static HOT void record(const siginfo_t *info, const ucontext_t *uc, struct capture *c)
{
	const stack_t *alt = &uc->uc_stack;
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	bool is_perf = cpu_perf_is(info);
	uint64_t ticks = is_perf ? 1 : cpu_ctl_ticked(periods(info));
	struct site_key key;
	uint32_t row;

	if (!is_perf && !cpu_perf_leaves(self.slot, uc))
		return;
	if ((alt->ss_flags & SS_DISABLE) == 0) {
		bounds.alt_lo = (uintptr_t)alt->ss_sp;
		bounds.alt_hi = bounds.alt_lo + alt->ss_size;
	}
	regs_from_signal(&c->regs, uc);
	sample_look_ahead(c, &bounds);
	self.name = thread_names_mine();
	key = (struct site_key){ .thread = self.name, .labels = self.labels };
	row = sample_row(c, &bounds, &cpu_table, &key, &losses);
	if (row == 0)
		return;
	sites_add(&cpu_table.sites, row, CPU_SAMPLES, ticks, ticks * cpu_period());
	wall_hits_add(row, ticks * cpu_period());
}

static bool was_early(void)
{
	bool (*f)(void) = atomic_load_explicit(&cpu.at_next_tick, memory_order_relaxed);

	if (f == NULL)
		return false;
	f = atomic_exchange(&cpu.at_next_tick, NULL);
	return f != NULL && f();
}

/* The doors of the alternate stack see to it that none is small, but what a handler changes there
 * the kernel takes back at its end; and a handler of the host's may have used up a large one. */
static bool has_room(const stack_t *alt)
{
	if (altstack_is_small(alt)) {
		if (cpu_ctl_hold(CPU_HOLD_STACK))
			count_add(COUNT_THREAD_SMALL_ALTSTACK);
		return false;
	}
	if (altstack_is_full(alt, (uintptr_t)__builtin_frame_address(0))) {
		count_add(COUNT_CPU_NO_ROOM);
		return false;
	}
	return true;
}

static bool may_count_event(const siginfo_t *info)
{
	if (!cpu_ctl_may_tick())
		cpu_perf_end(self.slot);        /* sampling is off, or by one timer for all */
	return cpu_perf_counts(self.slot, info);
}

HOT void cpu_tick(const siginfo_t *info, const ucontext_t *uc)
{
	struct capture *c;

	if (threads_sealed())
		return;
	if (self.phase == SELF_NEW)
		threads_enter(NULL);
	threads_settle();
	if (self.phase != SELF_READY)
		return;
	/* A raw clone without CLONE_SETTLS runs on its maker's thread-local data. */
	if (self.tid != os_gettid()) {
		count_add(COUNT_CPU_FOREIGN_TLS);
		return;
	}
	if (!has_room(&uc->uc_stack))
		return;
	if (unlikely(asks_is(info))) {
		asks_answer(info, uc);
		return;
	}
	if (threads_is_in(CAPTURE_TICK)) {
		count_add(COUNT_CPU_NESTED);
		return;
	}
	if (unlikely(cpu_perf_is(info)) && !may_count_event(info))
		return;
	if (was_early()) {
		cpu_ctl_begin_anew();   /* else all children would tick at the same places */
		return;
	}
	c = threads_capture(CAPTURE_TICK);
	if (c == NULL)
		return;
	threads_begin(CAPTURE_TICK);
	record(info, uc, c);
	threads_end(CAPTURE_TICK);
	if (cpu_ctl_may_tick())
		cpu_perf_follow(self.slot, cpu_period());
}

/* --- the end of a thread --------------------------------------------------------------------- */

/* As if it were in the first instruction of the function that it began with, called from here: the
 * return address is the one of sample_row, below the stack pointer of this moment.  Our own frames
 * are left out. */
static NOINLINE void record_end(struct capture *c, uint64_t ticks)
{
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	struct site_key key = { .thread = thread_names_now(), .labels = self.labels };
	uint32_t row;

	regs_here(&c->regs);
	c->regs.r[REGS_PC] = (uintptr_t)self.slot->start;
	c->regs.r[REGS_SP] -= sizeof(uintptr_t);
	row = sample_row(c, &bounds, &cpu_table, &key, &losses);
	if (row != 0)
		sites_add(&cpu_table.sites, row, CPU_SAMPLES, ticks, ticks * cpu_period());
}

void cpu_thread_ends(void)
{
	uint64_t ticks;
	struct capture *c;

	if (self.phase != SELF_READY || self.slot == NULL || threads_sealed())
		return;
	ticks = cpu_ctl_last();
	if (likely(ticks == 0) || self.slot->start == NULL || threads_is_in(CAPTURE_TICK))
		return;
	c = threads_capture(CAPTURE_TICK);
	if (c == NULL)
		return;
	threads_begin(CAPTURE_TICK);
	record_end(c, ticks);
	threads_end(CAPTURE_TICK);
}
