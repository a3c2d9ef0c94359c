#include "sampler/cpu_ctl.h"

#include <errno.h>
#include <stddef.h>

#include "sampler/asks.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_due.h"
#include "sampler/cpu_late.h"
#include "sampler/cpu_perf.h"
#include "sampler/cpu_run.h"
#include "sampler/cpu_timers.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"

#define TIMER_IN_WORK (-1)      /* thread_slot.timer while it is being made */
#define ONE_REFUSED   (-1)      /* cpu_run.one while all threads are without */
#define CHANGE        (CPU_HOLDS + 1u)  /* thread_slot.held: the reasons, and above them a count */

static struct {
	_Atomic unsigned hz;            /* in force: the greater one of these */
	unsigned         base_hz, raised_hz;
	_Atomic bool     was_short;
} ctl;

unsigned cpu_ctl_hz(void)
{
	return ctl.base_hz;
}

unsigned cpu_ctl_hz_now(void)
{
	return ctl.hz;
}

bool cpu_ctl_ticks(void)
{
	return ctl.hz != 0 && !cpu_run.ignored;
}

bool cpu_ctl_may_tick(void)
{
	return self.slot != NULL && ctl.hz != 0 && cpu_run.one == 0 && !cpu_run_is_still(self.slot);
}

/* --- having one ------------------------------------------------------------------------------ */

/* A timer for this thread, if it still has the slot. */
static bool may_have_timer(const struct thread_slot *slot, int tid)
{
	return tid != 0 && slot->tid == tid && ctl.hz != 0 && cpu_run.one == 0;
}

static void note_refusal(struct thread_slot *slot, bool refused)
{
	if (refused) {
		if (!slot->no_timer)
			count_add(COUNT_THREAD_NO_TIMER);
		ctl.was_short = true;
	}
	slot->no_timer = refused;
}

/* True if it is there and does not go yet.  The thread itself and the scan may both be here, and
 * while the scan is the thread may end: then whoever sees the timer last deletes it. */
static bool make_timer(struct thread_slot *slot)
{
	int none = 0, work = TIMER_IN_WORK, tid = slot->tid, timer;

	if (!may_have_timer(slot, tid) ||
	    !atomic_compare_exchange_strong(&slot->timer, &none, TIMER_IN_WORK))
		return false;
	timer = cpu_timers_create(tid);
	if (!atomic_compare_exchange_strong(&slot->timer, &work, timer > 0 ? timer : 0)) {
		cpu_timers_delete(timer);       /* disarmed meanwhile */
		return false;
	}
	if (!may_have_timer(slot, tid)) {
		cpu_ctl_disarm(slot);
		return false;
	}
	/* Else there is no such thread any more (one that a scan has met just before its end). */
	note_refusal(slot, timer < 0 && timer != -EINVAL);
	if (timer < 0)
		cpu_due_stop(slot);
	return timer > 0;
}

void cpu_ctl_arm(struct thread_slot *slot)
{
	if (make_timer(slot))
		cpu_run_start_own(slot);
}

void cpu_ctl_begin(struct thread_slot *slot)
{
	uint64_t first_ns;

	if (!may_have_timer(slot, slot->tid) || cpu_run_is_still(slot)) {
		cpu_ctl_arm(slot);
		return;
	}
	first_ns = cpu_run_draw_first();
	cpu_due_born(slot, first_ns);
	if (!cpu_late_join(slot) && make_timer(slot))
		cpu_run_start_own_at(slot, first_ns);
}

static void arm_late(struct thread_slot *slot)
{
	uint64_t first_ns;

	if (!make_timer(slot) || cpu_run_is_still(slot))
		return;
	first_ns = cpu_due_left(slot, slot->tid, cpu_run.period_ns);
	if (first_ns != 0)
		cpu_run_start_own_at(slot, first_ns);
	else
		cpu_run_start_own(slot);
}

uint64_t cpu_ctl_late(void)
{
	return cpu_late_go(arm_late);
}

void cpu_ctl_listen(void (*ring)(void))
{
	cpu_late_open(ring, arm_late);
}

void cpu_ctl_disarm(struct thread_slot *slot)
{
	cpu_due_stop(slot);
	cpu_timers_delete(atomic_exchange(&slot->timer, 0));
}

uint64_t cpu_ctl_ticked(uint64_t periods)
{
	if (self.slot != NULL)
		periods += cpu_due_tick(self.slot, periods, cpu_run.period_ns);
	return periods;
}

uint64_t cpu_ctl_last(void)
{
	struct thread_slot *slot = self.slot;

	/* Its event has counted most of it. */
	if (slot != NULL && slot->perf != 0)
		return 0;
	return slot != NULL && cpu_run.period_ns != 0 ? cpu_due_last(slot, cpu_run.period_ns) : 0;
}

void cpu_ctl_begin_anew(void)
{
	if (self.slot != NULL)
		cpu_run_start_own(self.slot);
}

bool cpu_ctl_was_short(void)
{
	return atomic_exchange(&ctl.was_short, false);
}

/* --- holding --------------------------------------------------------------------------------- */

static void one_less_held(void)
{
	if (atomic_fetch_sub(&cpu_run.holders, 1) == 1)
		cpu_run_start_one();
}

static void now_held(struct thread_slot *slot)
{
	atomic_fetch_add(&cpu_run.holders, 1);
	cpu_run_stop_own(slot);
	if (slot == self.slot)
		cpu_perf_end(slot);
	asks_withdraw(slot);
	cpu_run_stop(cpu_run.one);
	/* If another held it, the thread may have been released before we stopped it. */
	cpu_run_start_own(slot);
	cpu_run_start_one();
}

/* Puts reasons in and takes others out.  Returns those of before. */
static unsigned change(struct thread_slot *slot, unsigned in, unsigned out)
{
	uint32_t old = slot->held;

	while (!atomic_compare_exchange_weak(&slot->held, &old, ((old + CHANGE) | in) & ~out))
		;
	return old & CPU_HOLDS;
}

bool cpu_ctl_hold(enum cpu_hold why)
{
	struct thread_slot *slot = self.slot;
	unsigned before;

	threads_settle();
	if (slot == NULL || ((slot->held & why) == 0 && threads_elsewhere()))
		return false;
	before = change(slot, why, 0);
	if (before == 0)
		now_held(slot);
	return (before & why) == 0;
}

void cpu_ctl_release(enum cpu_hold why)
{
	struct thread_slot *slot = self.slot;

	if (slot == NULL || (slot->held & why) == 0 || threads_elsewhere())
		return;
	threads_settle();
	if (change(slot, 0, why) != why)
		return;
	cpu_run_start_own(slot);
	one_less_held();
}

bool cpu_ctl_hold_other(struct thread_slot *slot, uint32_t seen)
{
	if (!atomic_compare_exchange_strong(&slot->held, &seen, (seen + CHANGE) | CPU_HOLD_MASK))
		return false;
	if ((seen & CPU_HOLDS) == 0)
		now_held(slot);
	return true;
}

bool cpu_ctl_release_other(struct thread_slot *slot, uint32_t seen)
{
	if (!atomic_compare_exchange_strong(&slot->held, &seen,
					    (seen + CHANGE) & ~(uint32_t)CPU_HOLD_MASK))
		return false;
	if ((seen & CPU_HOLDS) == CPU_HOLD_MASK) {
		cpu_run_start_own(slot);
		one_less_held();
	}
	return true;
}

void cpu_ctl_leave(struct thread_slot *slot)
{
	threads_settle();
	if (slot == self.slot)
		cpu_perf_end(slot);
	else
		cpu_perf_orphan(slot);
	slot->tid = 0;                  /* nobody arms it from now on */
	cpu_ctl_disarm(slot);
	asks_withdraw(slot);
	if (change(slot, 0, CPU_HOLDS) != 0)
		one_less_held();
}

/* --- all threads ----------------------------------------------------------------------------- */

static bool start_or_stop(struct thread_slot *slot, void *unused)
{
	(void)unused;
	if (cpu_run.ignored)
		cpu_run_stop_own(slot);
	else
		cpu_run_start_own(slot);
	return true;
}

void cpu_ctl_ignore(bool ignored)
{
	threads_settle();
	if (atomic_exchange(&cpu_run.ignored, ignored) == ignored)
		return;
	if (ignored)
		cpu_run_stop(cpu_run.one);
	else
		cpu_run_start_one();
	threads_each(start_or_stop, NULL);
}

bool cpu_ctl_is_ignored(void)
{
	return cpu_run.ignored;
}

void cpu_ctl_desk_works(bool works)
{
	cpu_run.desk_works = works;
	if (works)
		cpu_run_stop(cpu_run.one);
	else
		cpu_run_start_one();
}

static bool disarm(struct thread_slot *slot, void *unused)
{
	(void)unused;
	cpu_ctl_disarm(slot);
	return true;
}

static bool arm(struct thread_slot *slot, void *unused)
{
	(void)unused;
	if (slot->tid != 0)
		cpu_ctl_arm(slot);
	return true;
}

bool cpu_ctl_is_one_for_all(void)
{
	return cpu_run.one != 0;
}

void cpu_ctl_one_for_all(bool one)
{
	if (one) {
		if (cpu_run.one == 0)
			cpu_run.one = ONE_REFUSED;  /* from here on no thread makes its own */
		threads_each(disarm, NULL);
		if (cpu_run.one == ONE_REFUSED) {
			int timer = cpu_timers_create(0);

			cpu_run.one = timer > 0 ? timer : ONE_REFUSED;
		}
		cpu_run_start_one();
	} else {
		cpu_timers_delete(atomic_exchange(&cpu_run.one, 0));
		threads_each(arm, NULL);
	}
}

static bool follow_rate(struct thread_slot *slot, void *unused)
{
	(void)unused;
	if (ctl.hz == 0)
		cpu_ctl_disarm(slot);
	else if (slot->timer > 0)
		cpu_run_start_own(slot);
	else if (slot->tid != 0)
		cpu_ctl_arm(slot);
	return true;
}

static uint64_t period_of(unsigned hz)
{
	return hz != 0 ? 1000000000u / hz : 0;
}

static unsigned hz_asked_for(void)
{
	return ctl.raised_hz > ctl.base_hz ? ctl.raised_hz : ctl.base_hz;
}

static void change_rate(unsigned hz)
{
	if (cpu_run.random == 0)
		cpu_run.random = random_seed(os_monotonic_ns());
	if (hz != 0) {
		cpu_run.period_ns = period_of(hz);
		/* Until all timers follow, some tick at the old rate: none may count for more than
		 * it has seen. */
		if (ctl.hz == 0 || cpu_run.period_ns < cpu_period())
			cpu_set_period(cpu_run.period_ns);
		cpu_timers_read();
	}
	ctl.hz = hz;
	if (hz == 0)
		cpu_timers_delete(atomic_exchange(&cpu_run.one, 0));
	else
		cpu_run_start_one();
	threads_each(follow_rate, NULL);
	if (hz != 0)
		cpu_set_period(cpu_run.period_ns);
}

void cpu_ctl_set_hz(unsigned hz)
{
	ctl.base_hz = hz;
	change_rate(hz_asked_for());
}

void cpu_ctl_raise_hz(unsigned hz)
{
	ctl.raised_hz = hz;
	if (hz_asked_for() != ctl.hz)
		change_rate(hz_asked_for());
}

bool cpu_ctl_wake_child(uint64_t first_ns)
{
	const struct thread_slot *slot = self.slot;
	int timer;

	self.child_timer = 0;           /* its parent's, if that has not settled */
	if (slot == NULL || ctl.base_hz == 0 || cpu_run_is_still(slot) || cpu_run.one != 0 ||
	    cpu_timers_max() == 0)
		return false;
	timer = os_timer_create(self.tid, cpu_cookie());
	if (timer < 0)
		return false;
	(void)!os_timer_set(timer, first_ns, period_of(ctl.base_hz));
	self.child_timer = timer + 1;
	return true;
}

bool cpu_ctl_after_fork(uint64_t first_ns)
{
	struct thread_slot *slot = self.slot;

	cpu_run.one = 0;
	cpu_run.desk_works = false;
	ctl.raised_hz = 0;              /* its parent's windows are not its own */
	ctl.hz = ctl.base_hz;
	if (ctl.hz != 0) {
		cpu_run.period_ns = period_of(ctl.hz);
		cpu_set_period(cpu_run.period_ns);
	}
	cpu_run.holders = slot != NULL && (slot->held & CPU_HOLDS) != 0;
	cpu_timers_after_fork();
	cpu_late_after_fork();
	cpu_perf_after_fork();
	if (slot == NULL)
		return false;
	cpu_due_stop(slot);
	slot->owed = 0;
	if (self.child_timer != 0) {
		slot->timer = self.child_timer;
		self.child_timer = 0;
		cpu_timers_adopt();
	} else if (make_timer(slot) && !cpu_run_is_still(slot)) {
		(void)!os_timer_set(slot->timer - 1, first_ns, cpu_run.period_ns);
	}
	return slot->timer > 0 && !cpu_run.ignored;
}
