#include "sampler/cpu_perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/sys.h"

#define EVENTS_MAX 512u
#define F_SETSIG_  10           /* linux, asm-generic/fcntl.h; libc hides them by feature */
#define F_SETOWN_EX_ 15

static struct {
	bool             used;
	_Atomic bool     has_orphans;
	struct event {
		_Atomic int      fd;    /* + 1; 0 none, < 0 being made */
		_Atomic bool     orphan;        /* its thread has gone */
		uint64_t         id;
	} event[EVENTS_MAX];
} perf;

static int open_event(int tid, uint64_t period_ns)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = PERF_TYPE_SOFTWARE;
	attr.config = PERF_COUNT_SW_CPU_CLOCK;
	attr.sample_period = period_ns;
	attr.wakeup_events = 1;
	attr.exclude_kernel = attr.exclude_hv = attr.exclude_callchain_kernel = 1;
	attr.disabled = 1;
	return (int)sys_call6(SYS_perf_event_open, SYS_ARG(&attr), tid, -1, -1,
			      PERF_FLAG_FD_CLOEXEC, 0);
}

int cpu_perf_init(void)
{
	int fd = open_event(0, 1000000);

	if (fd < 0)
		return fd;
	sys_call1(SYS_close, fd);
	perf.used = true;
	return 0;
}

/* --- descriptors ----------------------------------------------------------------------------- */

/* How many may be open; and from which number on they are, out of the host's way. */
static unsigned limit_of(unsigned *lowest)
{
	struct rlimit limit = { 0, 0 };

	(void)!sys_call4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	*lowest = limit.rlim_cur >= 2 * OS_FD_MIN ? OS_FD_MIN : (unsigned)limit.rlim_cur / 2;
	return limit.rlim_cur / 4 < EVENTS_MAX ? (unsigned)limit.rlim_cur / 4 : EVENTS_MAX;
}

static int move_up(int fd, unsigned lowest)
{
	long high = sys_call3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);

	sys_call1(SYS_close, fd);
	return (int)high;
}

/* Its signal is SIGPROF, to this thread alone. */
static bool set_signal(int fd, int tid)
{
	struct { int type, pid; } owner = { 0 /* F_OWNER_TID */, tid };

	return sys_call3(SYS_fcntl, fd, F_SETOWN_EX_, &owner) == 0 &&
	       sys_call3(SYS_fcntl, fd, F_SETSIG_, SIGPROF) == 0 &&
	       sys_call3(SYS_fcntl, fd, F_SETFL, O_ASYNC | O_NONBLOCK) == 0;
}

static bool is_event(int fd, uint64_t id)
{
	uint64_t now = 0;

	return sys_call3(SYS_ioctl, fd, PERF_EVENT_IOC_ID, &now) == 0 && now == id;
}

static bool is_there(const struct event *e)
{
	return e->fd > 0 && is_event(e->fd - 1, e->id);
}

static void close_event(struct event *e)
{
	if (is_there(e))
		sys_call1(SYS_close, e->fd - 1);
	e->orphan = false;
	e->fd = 0;
}

/* A fork child may have it open still, and then it would go on. */
static void end_event(struct event *e)
{
	if (is_there(e))
		(void)!sys_call3(SYS_ioctl, e->fd - 1, PERF_EVENT_IOC_DISABLE, 0);
	close_event(e);
}

/* Of threads that ended without a door: only here, among the host's descriptors, can they be
 * closed. */
static void close_orphans(void)
{
	if (!perf.has_orphans || !atomic_exchange(&perf.has_orphans, false))
		return;
	for (unsigned i = 0; i < EVENTS_MAX; i++)
		if (perf.event[i].orphan)
			close_event(&perf.event[i]);
}

static struct event *claim(unsigned max)
{
	for (unsigned i = 0; i < max; i++) {
		int none = 0;

		if (perf.event[i].fd == 0 &&
		    atomic_compare_exchange_strong(&perf.event[i].fd, &none, -1))
			return &perf.event[i];
	}
	return NULL;
}

/* --- the thread's ---------------------------------------------------------------------------- */

/* The last one that comes may be of an event that has just ended; a host has no use for it. */
bool cpu_perf_is(const siginfo_t *info)
{
	return info->si_code >= POLL_IN && info->si_code <= POLL_HUP && perf.used &&
	       self.slot != NULL && self.slot->perf_fd == info->si_fd + 1;
}

bool cpu_perf_counts(const struct thread_slot *slot, const siginfo_t *info)
{
	return slot->perf != 0 && info->si_code == POLL_IN;
}

bool cpu_perf_leaves(struct thread_slot *slot, const ucontext_t *uc)
{
	if (slot->perf == 0 || cpu_perf_after_call(uc))
		return true;
	if (is_there(&perf.event[slot->perf - 1]))
		return false;
	cpu_perf_end(slot);             /* the host has closed it: cpu_perf_follow opens another */
	return true;
}

static bool begin(struct event *e, int tid, uint64_t period_ns, unsigned lowest)
{
	int fd = open_event(tid, period_ns);

	if (fd >= 0)
		fd = move_up(fd, lowest);
	if (fd < 0)
		return false;
	if (!set_signal(fd, tid) || sys_call3(SYS_ioctl, fd, PERF_EVENT_IOC_ID, &e->id) != 0) {
		sys_call1(SYS_close, fd);
		return false;
	}
	e->fd = fd + 1;
	return true;
}

void cpu_perf_follow(struct thread_slot *slot, uint64_t period_ns)
{
	struct event *e;
	unsigned lowest, max;

	if (!perf.used || slot->perf_ns == period_ns || slot->scanned)
		return;
	cpu_perf_end(slot);
	slot->perf_ns = period_ns;              /* refused or not: not again at each tick */
	close_orphans();
	max = limit_of(&lowest);
	e = claim(max);
	if (e == NULL)
		return;
	if (!begin(e, slot->tid, period_ns, lowest)) {
		e->fd = 0;
		return;
	}
	slot->perf_fd = e->fd;
	slot->perf = (uint16_t)(e - perf.event + 1);
	(void)!sys_call3(SYS_ioctl, e->fd - 1, PERF_EVENT_IOC_ENABLE, 0);
}

void cpu_perf_end(struct thread_slot *slot)
{
	if (slot->perf != 0)
		end_event(&perf.event[slot->perf - 1]);
	slot->perf = 0;
	slot->perf_ns = 0;
}

void cpu_perf_orphan(struct thread_slot *slot)
{
	if (slot->perf == 0)
		return;
	perf.event[slot->perf - 1].orphan = true;
	perf.has_orphans = true;
	slot->perf = 0;
}

void cpu_perf_after_fork(void)
{
	for (unsigned i = 0; perf.used && i < EVENTS_MAX; i++)
		if (perf.event[i].fd != 0)
			close_event(&perf.event[i]);
	if (self.slot != NULL && perf.used) {
		self.slot->perf = 0;
		self.slot->perf_ns = 0;
	}
}
