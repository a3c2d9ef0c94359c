#include "sampler/asks.h"

#include "sampler/cpu_ctl.h"
#include "sampler/cpu_timers.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/status.h"
#include "sampler/unwind.h"

/* ask.state: who, and how far it is. */
enum phase { FREE, ASKED, ANSWERING, ANSWERED };
#define STATE(tid, phase) ((uint64_t)(uint32_t)(tid) << 2 | (phase))

/* A handler of the host's may come in the midst of an answer, where it has one for SIGPROF with a
 * mask of its own, and leave both by a jump.  An answer takes some 10 us, and never as long as this
 * of its thread's CPU time. */
#define LEFT_NS 100000000u

/* Whoever asked has gone away, or waits no more (THREAD_DUMP_WAIT_NS). */
#define STALE_NS 200000000u

static struct ask {
	_Atomic uint64_t state;
	/* For our thread. */
	struct thread_slot *slot;
	int32_t     timer;              /* its id + 1, until asks_withdraw takes it */
	uint64_t    asked_ns, asked_cpu_ns;     /* its CPU time, then */
	/* Of who answers. */
	uint64_t    at_ns;
	unsigned    depth;
	bool        truncated;
	struct regs regs;
	struct unwind_work work;
} ask[ASKS_MAX];

static uintptr_t *stacks;               /* threads_depth() addresses for each */

static uintptr_t *stack_of(const struct ask *a)
{
	return stacks + (size_t)(a - ask) * threads_depth();
}

/* --- our thread ------------------------------------------------------------------------------ */

static int tid_of(uint64_t state) { return (int)(state >> 2); }
static enum phase phase_of(uint64_t state) { return (enum phase)(state & 3); }

static struct ask *find(int tid)
{
	for (unsigned i = 0; i < ASKS_MAX; i++) {
		uint64_t state = ask[i].state;

		if (phase_of(state) != FREE && tid_of(state) == tid)
			return &ask[i];
	}
	return NULL;
}

/* Unless the thread's own hold, or its end, has been quicker. */
static void delete_timer(struct ask *a)
{
	int32_t timer = a->timer;

	if (timer > 0 && atomic_compare_exchange_strong(&a->slot->asked, &timer, 0))
		cpu_timers_delete(a->timer);
	a->timer = 0;
}

/* By a jump, or by the end of the thread. */
static bool was_left(const struct ask *a, int tid)
{
	uint64_t cpu_ns = os_thread_cpu_ns(tid);

	return cpu_ns == 0 || cpu_ns - a->asked_cpu_ns > LEFT_NS;
}

/* Not while it is being answered. */
static void drop(struct ask *a)
{
	uint64_t state = a->state;

	if ((phase_of(state) == ANSWERING && !was_left(a, tid_of(state))) ||
	    !atomic_compare_exchange_strong(&a->state, &state, STATE(0, FREE)))
		return;
	delete_timer(a);
}

void asks_give_up(int tid, uint64_t before_ns)
{
	for (unsigned i = 0; i < ASKS_MAX; i++) {
		uint64_t state = ask[i].state;

		if (phase_of(state) != FREE && (tid == 0 || tid_of(state) == tid) &&
		    ask[i].asked_ns < before_ns)
			drop(&ask[i]);
	}
}

bool asks_take(int tid, uint64_t since_ns, struct asks_answer *out, uintptr_t *pc, unsigned max)
{
	struct ask *a = find(tid);
	bool taken;

	if (a == NULL || phase_of(a->state) != ANSWERED)
		return false;
	taken = a->at_ns >= since_ns;
	if (taken) {
		*out = (struct asks_answer){ a->at_ns, a->depth, a->truncated };
		if (out->depth > max) {
			out->depth = max;
			out->truncated = true;
		}
		for (unsigned i = 0; i < out->depth; i++)
			pc[i] = stack_of(a)[i];
	}
	drop(a);
	return taken;
}

/* No tick may come to this thread (cpu_ctl.h), or it has another slot. */
static bool may_ask(const struct thread_slot *slot, int tid)
{
	return slot->tid == tid && (slot->held & CPU_HOLDS) == 0 && !cpu_ctl_is_ignored() &&
	       !threads_sealed();
}

/* A mask that changed by a road without a door (cpu_scan.h). */
static bool has_blocked(int tid)
{
	struct status status;

	return !status_read(tid, &status) || (status.blocked >> (SIGPROF - 1) & 1) != 0;
}

/* The sampler's timers come first: at most half of what is left for all. */
static bool may_take_timer(void)
{
	unsigned max = cpu_timers_max(), taken = cpu_timers_taken();

	return taken < max && max - taken >= 2;
}

static struct ask *find_free(void)
{
	for (unsigned i = 0; i < ASKS_MAX; i++)
		if (ask[i].state == STATE(0, FREE))
			return &ask[i];
	return NULL;
}

void asks_give_up_stale(void)
{
	asks_give_up(0, os_monotonic_ns() - STALE_NS);
}

static struct ask *make_room(void)
{
	struct ask *a = find_free();

	if (a != NULL)
		return a;
	asks_give_up_stale();
	return find_free();
}

static bool is_ready(void)
{
	if (stacks == NULL)
		stacks = os_map(ASKS_MAX * threads_depth() * sizeof(*stacks));
	return stacks != NULL;
}

/* Who holds the thread says so before he takes away its timer, and we look after we have said which
 * that is: one of the two sees the other's. */
static void arm(struct ask *a, int tid)
{
	a->timer = cpu_timers_create_with(tid, a);
	if (a->timer <= 0) {
		a->timer = 0;
		return;
	}
	a->asked_ns = os_monotonic_ns();
	a->asked_cpu_ns = os_thread_cpu_ns(tid);
	atomic_store(&a->state, STATE(tid, ASKED));
	(void)!os_timer_set(a->timer - 1, 1, 0);
	atomic_store(&a->slot->asked, a->timer);
	if (!may_ask(a->slot, tid))
		drop(a);
}

/* True if its answer is there, or will be; false: a hold came in between. */
static bool is_open(const struct ask *a)
{
	enum phase phase = phase_of(a->state);

	if (phase == ANSWERING)
		return !was_left(a, tid_of(a->state));
	return phase != ASKED || a->slot->asked == a->timer;
}

void asks_ask(int tid)
{
	struct thread_slot *slot;
	struct ask *a;

	if (!is_ready())
		return;
	a = find(tid);
	if (a != NULL && is_open(a))
		return;
	if (a != NULL)
		drop(a);
	slot = threads_find(tid);
	a = make_room();
	if (slot == NULL || a == NULL || !may_ask(slot, tid) || !may_take_timer() ||
	    has_blocked(tid))
		return;
	a->slot = slot;
	arm(a, tid);
}

/* --- any thread ------------------------------------------------------------------------------ */

void asks_withdraw(struct thread_slot *slot)
{
	if (slot->asked > 0)
		cpu_timers_delete(atomic_exchange(&slot->asked, 0));
}

void asks_after_fork(void)
{
	for (unsigned i = 0; i < ASKS_MAX; i++) {
		if (ask[i].state == STATE(0, FREE))
			continue;
		ask[i].timer = 0;       /* its parent's */
		ask[i].state = STATE(0, FREE);
	}
	if (self.slot != NULL)
		self.slot->asked = 0;
}

/* --- inside SIGPROF -------------------------------------------------------------------------- */

bool asks_is(const siginfo_t *info)
{
	return (uintptr_t)info->si_value.sival_ptr - (uintptr_t)ask < sizeof(ask);
}

void asks_answer(const siginfo_t *info, const ucontext_t *uc)
{
	struct ask *a = info->si_value.sival_ptr;
	struct unwind_stack_bounds bounds = { .lo = self.slot != NULL ? self.slot->stack_lo : 0,
					      .hi = self.slot != NULL ? self.slot->stack_hi : 0 };
	uint64_t asked = STATE(self.tid, ASKED), answering = STATE(self.tid, ANSWERING);

	/* It was for the last one who asked there, or nobody waits for it any more. */
	if (!atomic_compare_exchange_strong(&a->state, &asked, answering))
		return;
	if ((uc->uc_stack.ss_flags & SS_DISABLE) == 0) {
		bounds.alt_lo = (uintptr_t)uc->uc_stack.ss_sp;
		bounds.alt_hi = bounds.alt_lo + uc->uc_stack.ss_size;
	}
	regs_from_signal(&a->regs, uc);
	a->truncated = unwind_stack(&a->regs, &bounds, UNWIND_AUTO, &a->work, NULL, stack_of(a),
				    threads_depth(), &a->depth) == UNWIND_TRUNCATED;
	a->at_ns = os_monotonic_ns();
	(void)!atomic_compare_exchange_strong(&a->state, &answering, STATE(self.tid, ANSWERED));
}
