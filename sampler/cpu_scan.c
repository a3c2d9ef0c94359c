#include "sampler/cpu_scan.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "sampler/asks.h"
#include "sampler/births.h"
#include "sampler/count.h"
#include "sampler/cpu_ctl.h"
#include "sampler/cpu_timers.h"
#include "sampler/log.h"
#include "sampler/looks.h"
#include "sampler/mutex_gates.h"
#include "sampler/os.h"
#include "sampler/status.h"
#include "sampler/stills.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

/* So many have their mask looked at in a scan, in turn, some 15 us each: of the threads whose
 * timers go, of those that are held, and of new ones, which get their timer after that. */
#define GO_PER_SCAN   8
#define HELD_PER_SCAN 32
#define NEW_PER_SCAN  256

/* Of a step: 0.3 us for each slot, 1 us for each thread and 15 where a mask is looked at. */
#define SLOTS_AT_ONCE   1024
#define THREADS_AT_ONCE 64

enum phase { DONE, RELEASE, CHAIN, MEET };

/* Whose turn it is: the first, and how many came by in this scan. */
struct turn { unsigned first, seen; };

static struct {
	struct turn go, held, fresh;
	enum phase  phase;
	uint32_t    number;             /* of the next slot to look at */
	uint64_t    begun, ended;       /* how many were */
	uint64_t    step_ns;            /* when the present step began */
	struct looks_list list;
	int         ended_main;         /* the first thread's tid, when it has ended; or 0 */
	bool        said_ignored, said_short;
} scan;

static bool has_turn(struct turn *t, unsigned per_scan)
{
	unsigned n = t->seen++;

	return n >= t->first && n < t->first + per_scan;
}

static void next_turn(struct turn *t, unsigned per_scan)
{
	t->first = t->first + per_scan < t->seen ? t->first + per_scan : 0;
	t->seen = 0;
}

/* --- masks ----------------------------------------------------------------------------------- */

static bool has_sigprof(uint64_t set)
{
	return (set >> (SIGPROF - 1) & 1) != 0;
}

/* It was held by a door, which it may have passed by another road since.  One that sleeps may only
 * seem open: sigwait opens the mask for what it waits for.  And one that runs may be in the door,
 * before the system call: not twice. */
static void look_if_open(struct thread_slot *slot)
{
	uint32_t held = slot->held;
	struct status status;

	if (!has_turn(&scan.held, HELD_PER_SCAN))
		return;
	if (!status_read(slot->tid, &status) || status.state != 'R' || has_sigprof(status.blocked))
		slot->seen_open = 0;
	else if (slot->seen_open != held)
		slot->seen_open = held;
	else
		cpu_ctl_release_other(slot, held);
}

/* Its timer goes: a tick that waits cannot get in. */
static void look_if_blocked(struct thread_slot *slot)
{
	uint32_t held = slot->held;
	struct status status;

	if (has_turn(&scan.go, GO_PER_SCAN) && status_read(slot->tid, &status) &&
	    has_sigprof(status.blocked & status.pending))
		cpu_ctl_hold_other(slot, held);
}

/* It gets its first timer, and nobody knows how it was born. */
static void arm_new(struct thread_slot *slot)
{
	uint32_t held = slot->held;
	struct status status;

	if (slot->scanned && (held & CPU_HOLDS) == 0) {
		if (!has_turn(&scan.fresh, NEW_PER_SCAN))
			return;
		if (status_read(slot->tid, &status) && has_sigprof(status.blocked))
			cpu_ctl_hold_other(slot, held);
	}
	cpu_ctl_arm(slot);
}

static void look_at_mask(struct thread_slot *slot)
{
	if ((slot->held & CPU_HOLD_MASK) != 0)
		look_if_open(slot);
	else if (slot->timer > 0)
		look_if_blocked(slot);
}

/* --- threads --------------------------------------------------------------------------------- */

/* All slots by their tids, as they were some steps ago: looking through all of them for each thread
 * would take seconds for some thousands.  Who has a slot since then gets a second one, as above. */
static struct thread_slot *by_tid[1024];

static struct thread_slot **chain_of(int tid)
{
	return &by_tid[(unsigned)tid % COUNT_OF(by_tid)];
}

static bool add_to_chain(struct thread_slot *slot, void *unused)
{
	struct thread_slot **chain = chain_of(slot->tid);

	(void)unused;
	slot->next_by_tid = *chain;
	*chain = slot;
	return true;
}

/* The slot of thread tid, which has gone; unless it is another's by now. */
static void release(struct thread_slot *slot, int tid)
{
	if (!atomic_compare_exchange_strong(&slot->tid, &tid, 0))
		return;
	births_ended(slot);
	cpu_ctl_leave(slot);
	threads_release(slot);
}

static struct thread_slot *newer(struct thread_slot *a, struct thread_slot *b)
{
	return b == NULL || (a != NULL && a->born_ns >= b->born_ns) ? a : b;
}

/* The slot of a thread, NULL if there is none; of more than one the rest is released.  Between the
 * door of a creation and the thread's first step its slot has no tid yet, and a scan in that moment
 * makes a second one.  Of two of its own the older one is of a thread that left without a door, and
 * whose tid this one got. */
static struct thread_slot *slot_of(int tid)
{
	struct thread_slot *own = NULL, *scanned = NULL, *slot;

	for (slot = *chain_of(tid); slot != NULL; slot = slot->next_by_tid)
		if (slot->tid == tid && slot->scanned)
			scanned = newer(scanned, slot);
		else if (slot->tid == tid)
			own = newer(own, slot);
	own = own != NULL ? own : scanned;
	for (slot = *chain_of(tid); slot != NULL; slot = slot->next_by_tid)
		if (slot != own)
			release(slot, tid);
	return own;
}

/* A thread without a slot gets one at its first scan and its timer at the next: by then a door has
 * had the time to be first. */
static void meet(int tid)
{
	struct thread_slot *slot;

	if (tid <= 0 || tid == os_gettid() || tid == scan.ended_main)
		return;
	slot = slot_of(tid);
	if (slot != NULL) {
		births_met(slot);
		stills_meet(slot, tid, scan.step_ns);
		look_at_mask(slot);
		if (slot->timer == 0)
			arm_new(slot);
		return;
	}
	mutex_gates_others();
	slot = threads_claim();
	if (slot != NULL) {
		slot->scanned = true;
		threads_set_tid(slot, tid);
	}
}

/* Threads that left by a road without a door: a signal 0 to them fails. */
static bool release_gone(struct thread_slot *slot, void *arg)
{
	int tid = slot->tid;

	(void)arg;
	if (tid != 0 && (tid == scan.ended_main ||
			 sys_call3(SYS_tgkill, os_getpid(), tid, 0) == -ESRCH))
		release(slot, tid);
	return true;
}

/* --- timers ---------------------------------------------------------------------------------- */

/* From Linux 6.4 on the tick of a process' timer goes to the thread that runs; before, to the main
 * thread, which may sleep in a system call that would end with EINTR. */
static bool kernel_finds_who_runs(void)
{
	struct utsname uts;
	unsigned number[2] = { 0, 0 }, i = 0;

	if (sys_call1(SYS_uname, &uts) < 0)
		return false;
	for (const char *c = uts.release; i < COUNT_OF(number) && *c != '\0'; c++)
		if (*c >= '0' && *c <= '9')
			number[i] = number[i] * 10 + (unsigned)(*c - '0');
		else
			i++;
	return number[0] > 6 || (number[0] == 6 && number[1] >= 4);
}

struct need { unsigned threads, without; };

static bool count_need(struct thread_slot *slot, void *arg)
{
	struct need *need = arg;

	need->threads += slot->tid != 0;
	need->without += slot->tid != 0 && slot->no_timer;
	return true;
}

/* Others have taken more since. */
static bool give_back(struct thread_slot *slot, void *unused)
{
	(void)unused;
	if (cpu_timers_taken() <= cpu_timers_max())
		return false;
	if (slot->timer > 0) {
		cpu_ctl_disarm(slot);
		if (!slot->no_timer)
			count_add(COUNT_THREAD_NO_TIMER);
		slot->no_timer = true;
	}
	return true;
}

/* There are too few, and it is not for a moment. */
static void be_short(void)
{
	bool one = kernel_finds_who_runs();

	if (!scan.said_short)
		log_line(LOG_INFO, "RLIMIT_SIGPENDING leaves us too few timers: ",
			 one ? "one for all threads" : "some threads have no CPU samples", NULL);
	scan.said_short = true;
	if (one) {
		count_add(COUNT_CPU_ONE_TIMER);
		cpu_ctl_one_for_all(true);
	} else {
		threads_each(give_back, NULL);
	}
}

void cpu_scan_timers(void)
{
	struct need need = { 0, 0 };
	unsigned max;

	if (cpu_ctl_hz_now() == 0)
		return;
	cpu_timers_read();
	max = cpu_timers_max();
	threads_each(count_need, &need);
	if (cpu_ctl_is_one_for_all()) {
		/* Not back at once when one thread ends, to be short again with the next. */
		cpu_ctl_one_for_all(need.threads > max / 4 * 3);
		return;
	}
	(void)!cpu_ctl_was_short();
	if (need.without != 0 && need.threads <= max) {
		cpu_ctl_one_for_all(false);     /* each its own, as it should be */
		if (!cpu_ctl_was_short())
			return;
	}
	if (need.without != 0 || cpu_timers_taken() > max)
		be_short();
}

void cpu_scan_rest(bool rests)
{
	if (rests && cpu_ctl_was_short())
		cpu_scan_timers();
	cpu_ctl_desk_works(!rests);
}

/* After its pthread_exit the kernel keeps it, as a zombie, until the process ends. */
static int find_ended_main(void)
{
	struct status status;
	int pid = os_getpid();

	return status_read(pid, &status) && status.state == 'Z' ? pid : 0;
}

/* --- a piece at a time ----------------------------------------------------------------------- */

static void begin_it(void)
{
	scan.begun++;
	scan.ended_main = find_ended_main();
	scan.number = 0;
	asks_give_up_stale();
	scan.phase = RELEASE;
}

/* False: all slots had their turn. */
static bool each_slot(bool (*f)(struct thread_slot *slot, void *arg))
{
	uint32_t slots = threads_slots();

	for (unsigned n = 0; n < SLOTS_AT_ONCE && scan.number < slots; n++) {
		struct thread_slot *slot = threads_at(scan.number++);

		if (slot != NULL)
			f(slot, NULL);
	}
	return scan.number < slots;
}

static bool open_list(void)
{
	return looks_list_open(&scan.list) >= 0;
}

/* False: that were all; also if they are not to be had, or our thread is another since. */
static bool meet_some(void)
{
	int tid[THREADS_AT_ONCE];
	long n = looks_list_step(&scan.list, tid, COUNT_OF(tid));

	for (long i = 0; i < n; i++)
		meet(tid[i]);
	if (n > 0)
		return true;
	looks_list_close(&scan.list);
	return false;
}

static void end_it(void)
{
	next_turn(&scan.go, GO_PER_SCAN);
	next_turn(&scan.held, HELD_PER_SCAN);
	next_turn(&scan.fresh, NEW_PER_SCAN);
	cpu_scan_timers();
	if (cpu_ctl_is_ignored() && !scan.said_ignored) {
		scan.said_ignored = true;
		log_line(LOG_INFO, "this program ignores SIGPROF: no CPU samples meanwhile", NULL);
	}
	scan.ended = scan.begun;
	scan.phase = DONE;
}

static void step(void)
{
	scan.step_ns = os_monotonic_ns();
	if (scan.phase == DONE) {
		begin_it();
	} else if (scan.phase == RELEASE && !each_slot(release_gone)) {
		memset(by_tid, 0, sizeof(by_tid));
		scan.number = 0;
		scan.phase = CHAIN;
	} else if (scan.phase == CHAIN && !each_slot(add_to_chain)) {
		scan.phase = MEET;
		if (!open_list())
			end_it();
	} else if (scan.phase == MEET && !meet_some()) {
		end_it();
	}
}

bool cpu_scan_go_on(uint64_t *ticket)
{
	if (*ticket == 0)
		*ticket = scan.begun + 1;
	if (scan.ended < *ticket)
		step();
	return scan.ended < *ticket;
}

void cpu_scan(void)
{
	uint64_t ticket = 0;

	while (cpu_scan_go_on(&ticket))
		continue;
}
