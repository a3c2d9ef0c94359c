#include "sampler/cpu_ctl.h"

#include <stddef.h>

#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_timers.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"

#define TIMER_IN_WORK (-1)      /* thread_slot.timer while it is being made */
#define ONE_REFUSED   (-1)      /* ctl.one while all threads are without */
#define CHANGE        (CPU_HOLDS + 1u)  /* thread_slot.held: the reasons, and above them a count */

static struct {
	_Atomic unsigned hz;
	_Atomic uint64_t period_ns;     /* of the timers; a tick's weight is cpu_period */
	_Atomic int      one;           /* the timer for all, its id + 1; 0: each has its own */
	_Atomic unsigned holders;       /* threads that are held */
	_Atomic bool     ignored, desk_works, was_short;
	uint64_t         random;        /* of our thread */
} ctl;

unsigned cpu_ctl_hz(void)
{
	return ctl.hz;
}

bool cpu_ctl_ticks(void)
{
	return ctl.hz != 0 && !ctl.ignored;
}

/* --- going and standing still ---------------------------------------------------------------- */

static bool is_still(const struct thread_slot *slot)
{
	return (slot->held & CPU_HOLDS) != 0 || ctl.ignored;
}

static bool one_is_still(void)
{
	return ctl.holders != 0 || ctl.ignored || ctl.desk_works;
}

static void stop(int timer)
{
	/* A tick that is on its way is delivered before this call returns. */
	if (timer > 0)
		(void)!os_timer_set(timer - 1, 0, 0);
}

/* Anywhere in the first period, so that threads born together do not tick together and short ones
 * are sampled as often as long ones. */
static void start(int timer)
{
	uint64_t *random = self.phase == SELF_DESK ? &ctl.random : &self.random;
	uint64_t period = ctl.period_ns;

	if (timer > 0)
		(void)!os_timer_set(timer - 1, 1 + random_next(random) % period, period);
}

static void start_own(struct thread_slot *slot)
{
	if (is_still(slot))
		return;
	start(slot->timer);
	if (is_still(slot))             /* meanwhile: whoever did it may have been before us */
		stop(slot->timer);
}

static void start_one(void)
{
	if (ctl.one <= 0 || one_is_still())
		return;
	start(ctl.one);
	if (one_is_still())
		stop(ctl.one);
}

/* --- having one ------------------------------------------------------------------------------ */

/* A timer for this thread, if it still has the slot. */
static bool may_have_timer(const struct thread_slot *slot, int tid)
{
	return tid != 0 && slot->tid == tid && ctl.hz != 0 && ctl.one == 0;
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
	note_refusal(slot, timer < 0);
	return timer > 0;
}

void cpu_ctl_arm(struct thread_slot *slot)
{
	if (make_timer(slot))
		start_own(slot);
}

void cpu_ctl_disarm(struct thread_slot *slot)
{
	cpu_timers_delete(atomic_exchange(&slot->timer, 0));
}

void cpu_ctl_begin_anew(void)
{
	if (self.slot != NULL)
		start_own(self.slot);
}

bool cpu_ctl_was_short(void)
{
	return atomic_exchange(&ctl.was_short, false);
}

/* --- holding --------------------------------------------------------------------------------- */

static void one_less_held(void)
{
	if (atomic_fetch_sub(&ctl.holders, 1) == 1)
		start_one();
}

static void now_held(struct thread_slot *slot)
{
	atomic_fetch_add(&ctl.holders, 1);
	stop(slot->timer);
	stop(ctl.one);
	/* If another held it, the thread may have been released before we stopped it. */
	start_own(slot);
	start_one();
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
	start_own(slot);
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
		start_own(slot);
		one_less_held();
	}
	return true;
}

void cpu_ctl_leave(struct thread_slot *slot)
{
	threads_settle();
	slot->tid = 0;                  /* nobody arms it from now on */
	cpu_ctl_disarm(slot);
	if (change(slot, 0, CPU_HOLDS) != 0)
		one_less_held();
}

/* --- all threads ----------------------------------------------------------------------------- */

static bool start_or_stop(struct thread_slot *slot, void *unused)
{
	(void)unused;
	if (ctl.ignored)
		stop(slot->timer);
	else
		start_own(slot);
	return true;
}

void cpu_ctl_ignore(bool ignored)
{
	threads_settle();
	if (atomic_exchange(&ctl.ignored, ignored) == ignored)
		return;
	if (ignored)
		stop(ctl.one);
	else
		start_one();
	threads_each(start_or_stop, NULL);
}

bool cpu_ctl_is_ignored(void)
{
	return ctl.ignored;
}

void cpu_ctl_desk_works(bool works)
{
	ctl.desk_works = works;
	if (works)
		stop(ctl.one);
	else
		start_one();
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
	return ctl.one != 0;
}

void cpu_ctl_one_for_all(bool one)
{
	if (one) {
		if (ctl.one == 0)
			ctl.one = ONE_REFUSED;  /* from here on no thread makes its own */
		threads_each(disarm, NULL);
		if (ctl.one == ONE_REFUSED) {
			int timer = cpu_timers_create(0);

			ctl.one = timer > 0 ? timer : ONE_REFUSED;
		}
		start_one();
	} else {
		cpu_timers_delete(atomic_exchange(&ctl.one, 0));
		threads_each(arm, NULL);
	}
}

static bool follow_rate(struct thread_slot *slot, void *unused)
{
	(void)unused;
	if (ctl.hz == 0)
		cpu_ctl_disarm(slot);
	else if (slot->timer > 0)
		start_own(slot);
	else if (slot->tid != 0)
		cpu_ctl_arm(slot);
	return true;
}

void cpu_ctl_set_hz(unsigned hz)
{
	if (ctl.random == 0)
		ctl.random = random_seed(os_monotonic_ns());
	if (hz != 0) {
		ctl.period_ns = 1000000000u / hz;
		/* Until all timers follow, some tick at the old rate: none may count for more than
		 * it has seen. */
		if (ctl.hz == 0 || ctl.period_ns < cpu_period())
			cpu_set_period(ctl.period_ns);
		cpu_timers_read();
	}
	ctl.hz = hz;
	if (hz == 0)
		cpu_timers_delete(atomic_exchange(&ctl.one, 0));
	else
		start_one();
	threads_each(follow_rate, NULL);
	if (hz != 0)
		cpu_set_period(ctl.period_ns);
}

bool cpu_ctl_wake_child(uint64_t first_ns)
{
	const struct thread_slot *slot = self.slot;
	int timer;

	self.child_timer = 0;           /* its parent's, if that has not settled */
	if (slot == NULL || !cpu_ctl_ticks() || is_still(slot) || ctl.one != 0 ||
	    cpu_timers_max() == 0)
		return false;
	timer = os_timer_create(self.tid, cpu_cookie());
	if (timer < 0)
		return false;
	(void)!os_timer_set(timer, first_ns, ctl.period_ns);
	self.child_timer = timer + 1;
	return true;
}

bool cpu_ctl_after_fork(uint64_t first_ns)
{
	struct thread_slot *slot = self.slot;

	ctl.one = 0;
	ctl.desk_works = false;
	ctl.holders = slot != NULL && (slot->held & CPU_HOLDS) != 0;
	cpu_timers_after_fork();
	if (slot == NULL)
		return false;
	if (self.child_timer != 0) {
		slot->timer = self.child_timer;
		self.child_timer = 0;
		cpu_timers_adopt();
	} else if (make_timer(slot) && !is_still(slot)) {
		(void)!os_timer_set(slot->timer - 1, first_ns, ctl.period_ns);
	}
	return slot->timer > 0 && !ctl.ignored;
}
