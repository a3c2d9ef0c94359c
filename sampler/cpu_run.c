#include "sampler/cpu_run.h"

#include "sampler/cpu_ctl.h"
#include "sampler/cpu_due.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"

struct cpu_run cpu_run;

bool cpu_run_is_still(const struct thread_slot *slot)
{
	return (slot->held & CPU_HOLDS) != 0 || cpu_run.ignored;
}

static bool one_is_still(void)
{
	return cpu_run.holders != 0 || cpu_run.ignored || cpu_run.desk_works;
}

void cpu_run_stop(int timer)
{
	if (timer > 0)
		(void)!os_timer_set(timer - 1, 0, 0);
}

uint64_t cpu_run_draw_first(void)
{
	uint64_t *random = self.phase == SELF_DESK ? &cpu_run.random : &self.random;

	return 1 + random_next(random) % cpu_run.period_ns;
}

static void start(int timer, uint64_t first_ns)
{
	if (timer > 0)
		(void)!os_timer_set(timer - 1, first_ns, cpu_run.period_ns);
}

void cpu_run_stop_own(struct thread_slot *slot)
{
	cpu_run_stop(slot->timer);
	/* Where there is an event, that has counted most of it. */
	if (slot == self.slot && slot->perf == 0 && cpu_run.period_ns != 0)
		cpu_due_pause(slot, cpu_run.period_ns);
	else
		cpu_due_stop(slot);
}

void cpu_run_start_own_at(struct thread_slot *slot, uint64_t first_ns)
{
	start(slot->timer, first_ns);
	/* Meanwhile: whoever did it may have been before us. */
	if (cpu_run_is_still(slot))
		cpu_run_stop_own(slot);
}

void cpu_run_start_own(struct thread_slot *slot)
{
	uint64_t first_ns;

	if (slot->timer <= 0 || cpu_run_is_still(slot))
		return;
	first_ns = cpu_run_draw_first();
	cpu_due_start(slot, slot->tid, first_ns);
	cpu_run_start_own_at(slot, first_ns);
}

void cpu_run_start_one(void)
{
	if (cpu_run.one <= 0 || one_is_still())
		return;
	start(cpu_run.one, cpu_run_draw_first());
	if (one_is_still())
		cpu_run_stop(cpu_run.one);
}
