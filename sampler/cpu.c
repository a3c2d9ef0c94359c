#include "sampler/cpu.h"

#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"

struct stacks cpu_stacks;
struct sites  cpu_sites;

static struct {
	_Atomic uint64_t period_ns;
	void (*_Atomic first_tick)(void);
} cpu;

int cpu_init(uint64_t budget_bytes)
{
	int err = stacks_init(&cpu_stacks, budget_bytes / 8 * 7);

	return err < 0 ? err : sites_init(&cpu_sites, budget_bytes / 8);
}

const void *cpu_cookie(void)
{
	return &cpu;
}

int cpu_is_tick(const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->si_value.sival_ptr == cpu_cookie();
}

void cpu_set_period(uint64_t ns)
{
	atomic_store_explicit(&cpu.period_ns, ns, memory_order_relaxed);
}

uint64_t cpu_period(void)
{
	return atomic_load_explicit(&cpu.period_ns, memory_order_relaxed);
}

void cpu_on_first_tick(void (*f)(void))
{
	atomic_store(&cpu.first_tick, f);
}

static void record(const siginfo_t *info, const ucontext_t *uc, struct capture *c)
{
	const stack_t *alt = &uc->uc_stack;
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	uint64_t ticks = 1 + (info->si_overrun > 0 ? (uint64_t)info->si_overrun : 0);
	struct site_key key;
	uint32_t row;

	if ((alt->ss_flags & SS_DISABLE) == 0) {
		bounds.alt_lo = (uintptr_t)alt->ss_sp;
		bounds.alt_hi = bounds.alt_lo + alt->ss_size;
	}
	regs_from_signal(&c->regs, uc);
	self.name = thread_names_mine();
	key = (struct site_key){ .thread = self.name, .labels = self.labels };
	key.stack = sample_stack(c, &bounds, &cpu_stacks, COUNT_CPU_NO_STACK);
	if (key.stack == 0)
		return;
	row = sites_row(&cpu_sites, &key);
	if (row == 0) {
		count_add(COUNT_CPU_NO_SITE);
		return;
	}
	sites_add(&cpu_sites, row, CPU_SAMPLES, ticks);
	sites_add(&cpu_sites, row, CPU_NANOSECONDS, ticks * cpu_period());
}

/* The desk of a fork child starts here, some milliseconds after the fork.  That tick is early on
 * purpose and no sample: it would count a whole period for less. */
static int was_first_tick(void)
{
	void (*f)(void) = atomic_exchange(&cpu.first_tick, NULL);

	if (f != NULL)
		f();
	return f != NULL;
}

void cpu_tick(const siginfo_t *info, const ucontext_t *uc)
{
	struct capture *c;

	if (self.phase == SELF_NEW)
		threads_enter(NULL);
	if (self.phase != SELF_READY)
		return;
	/* A raw clone without CLONE_SETTLS runs on its maker's thread-local data. */
	if (self.tid != os_gettid()) {
		count_add(COUNT_CPU_FOREIGN_TLS);
		return;
	}
	if (self.in_tick) {
		count_add(COUNT_CPU_NESTED);
		return;
	}
	if (was_first_tick())
		return;
	c = threads_capture(CAPTURE_TICK);
	if (c == NULL)
		return;
	self.in_tick = true;
	record(info, uc, c);
	self.in_tick = false;
}
