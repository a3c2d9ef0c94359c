#include "sampler/cpu_scan.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "sampler/count.h"
#include "sampler/cpu_ctl.h"
#include "sampler/cpu_timers.h"
#include "sampler/log.h"
#include "sampler/os.h"
#include "sampler/status.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

/* So many have their mask looked at in a scan, in turn, some 15 us each: of the threads whose
 * timers go, of those that are held, and of new ones, which get their timer after that. */
#define GO_PER_SCAN   8
#define HELD_PER_SCAN 32
#define NEW_PER_SCAN  256

/* Whose turn it is: the first, and how many came by in this scan. */
struct turn { unsigned first, seen; };

static struct {
	struct turn go, held, fresh;
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

static int parse_tid(const char *name)
{
	int tid = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (*name - '0');
	return *name == '\0' ? tid : 0;
}

/* All slots by their tids, as they were at the begin of the scan: looking through all of them for
 * each thread would take seconds for some thousands. */
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

/* The slots of one thread: normally one.  Between the pthread_create door and the thread's first
 * step its slot has no tid yet, and a scan in that moment makes a second one. */
struct slots_of { struct thread_slot *own, *scanned; };

static struct slots_of slots_of(int tid)
{
	struct slots_of of = { NULL, NULL };

	for (struct thread_slot *slot = *chain_of(tid); slot != NULL; slot = slot->next_by_tid)
		if (slot->tid == tid)
			*(slot->scanned ? &of.scanned : &of.own) = slot;
	return of;
}

/* The slot of thread tid, which has gone; unless it is another's by now. */
static void release(struct thread_slot *slot, int tid)
{
	if (!atomic_compare_exchange_strong(&slot->tid, &tid, 0))
		return;
	cpu_ctl_leave(slot);
	threads_release(slot);
}

/* A thread without a slot gets one at its first scan and its timer at the next: by then a door has
 * had the time to be first. */
static void meet(int tid)
{
	struct slots_of of;
	struct thread_slot *slot;

	if (tid <= 0 || tid == os_gettid())
		return;
	of = slots_of(tid);
	if (of.own != NULL && of.scanned != NULL)
		release(of.scanned, tid);
	slot = of.own != NULL ? of.own : of.scanned;
	if (slot != NULL) {
		look_at_mask(slot);
		if (slot->timer == 0)
			arm_new(slot);
		return;
	}
	slot = threads_claim();
	if (slot != NULL) {
		slot->scanned = true;
		slot->tid = tid;
	}
}

static void meet_all(void)
{
	static _Alignas(struct os_entry) char buf[1024];   /* our thread's only */
	int fd = os_open_dir("/proc/thread-self/../");
	long n;

	if (fd < 0)
		return;
	memset(by_tid, 0, sizeof(by_tid));
	threads_each(add_to_chain, NULL);
	while ((n = os_list(fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			struct os_entry *e = (struct os_entry *)(void *)(buf + at);

			meet(parse_tid(e->name));
			at += e->bytes;
		}
	os_close(fd);
	next_turn(&scan.go, GO_PER_SCAN);
	next_turn(&scan.held, HELD_PER_SCAN);
	next_turn(&scan.fresh, NEW_PER_SCAN);
}

/* Threads that left by a road without a door: a signal 0 to them fails. */
static bool release_gone(struct thread_slot *slot, void *arg)
{
	int tid = slot->tid;

	(void)arg;
	if (tid != 0 && sys_call3(SYS_tgkill, os_getpid(), tid, 0) == -ESRCH)
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

	if (cpu_ctl_hz() == 0)
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

void cpu_scan(void)
{
	threads_each(release_gone, NULL);
	meet_all();
	cpu_scan_timers();
	if (cpu_ctl_is_ignored() && !scan.said_ignored) {
		scan.said_ignored = true;
		log_line(LOG_INFO, "this program ignores SIGPROF: no CPU samples meanwhile", NULL);
	}
}
