#include "sampler/cpu_due.h"

#include "sampler/os.h"

/* A timer that goes is noticed at the kernel's next tick, of 10 ms at most (CONFIG_HZ 100). */
#define NOTICED_NS 20000000u

static uint64_t cpu_of(const struct thread_slot *slot, int tid)
{
	return os_thread_cpu_ns(slot == self.slot ? 0 : tid);
}

static uint64_t periods_over(uint64_t due, uint64_t now, uint64_t period_ns)
{
	return due <= now ? 1 + (now - due) / period_ns : 0;
}

void cpu_due_start(struct thread_slot *slot, int tid, uint64_t first_ns)
{
	slot->due_ns = cpu_of(slot, tid) + first_ns;
}

void cpu_due_born(struct thread_slot *slot, uint64_t first_ns)
{
	slot->due_ns = first_ns;
}

uint64_t cpu_due_left(struct thread_slot *slot, int tid, uint64_t period_ns)
{
	uint64_t due = slot->due_ns, now, over;

	if (due == 0)
		return 0;
	now = cpu_of(slot, tid);
	over = periods_over(due, now, period_ns);
	slot->owed += (uint32_t)over;
	slot->due_ns = due + over * period_ns;
	return due + over * period_ns - now;
}

void cpu_due_stop(struct thread_slot *slot)
{
	slot->due_ns = 0;
}

/* Of what the calling thread's timer should have noticed; what cannot be is old. */
static uint64_t not_noticed(const struct thread_slot *slot, uint64_t due, uint64_t period_ns)
{
	uint64_t now = os_thread_cpu_ns(0);

	return slot->timer > 0 && now > due + NOTICED_NS ? 0 : periods_over(due, now, period_ns);
}

void cpu_due_pause(struct thread_slot *slot, uint64_t period_ns)
{
	uint64_t due = atomic_exchange(&slot->due_ns, 0);

	if (due != 0)
		slot->owed += (uint32_t)not_noticed(slot, due, period_ns);
}

uint64_t cpu_due_tick(struct thread_slot *slot, uint64_t periods, uint64_t period_ns)
{
	if (slot->due_ns != 0)
		slot->due_ns += periods * period_ns;
	return slot->owed != 0 ? atomic_exchange(&slot->owed, 0) : 0;
}

uint64_t cpu_due_last(struct thread_slot *slot, uint64_t period_ns)
{
	uint64_t due = atomic_exchange(&slot->due_ns, 0);
	uint64_t owed = atomic_exchange(&slot->owed, 0);

	/* It has not used more than it has lived: mostly that is enough, and no system call. */
	if (due == 0 || os_monotonic_ns() - slot->born_ns < due)
		return owed;
	return owed + not_noticed(slot, due, period_ns);
}
