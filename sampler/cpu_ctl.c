#include "sampler/cpu_ctl.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"
#include "sampler/sys.h"

#define TIMER_IN_WORK (-1)      /* thread_slot.timer while it is being made */

static struct {
	_Atomic unsigned hz;
	uint64_t         random;        /* of our thread's scan */
} ctl;

unsigned cpu_ctl_hz(void)
{
	return ctl.hz;
}

static void start_timer(struct thread_slot *slot, uint64_t *random)
{
	uint64_t period = cpu_period();

	if (slot->held)
		return;
	/* Anywhere in the first period, so that threads born together do not tick together and
	 * short ones are sampled as often as long ones. */
	if (os_timer_set(slot->timer - 1, 1 + random_next(random) % period, period) < 0)
		count_add(COUNT_THREAD_NO_TIMER);
}

static void make_timer(struct thread_slot *slot, uint64_t *random)
{
	int none = 0, timer;

	/* The thread itself and the scan may both be here. */
	if (ctl.hz == 0 || !atomic_compare_exchange_strong(&slot->timer, &none, TIMER_IN_WORK))
		return;
	timer = os_timer_create(slot->tid, cpu_cookie());
	if (timer < 0) {
		slot->timer = 0;
		count_add(COUNT_THREAD_NO_TIMER);
		return;
	}
	slot->timer = timer + 1;
	start_timer(slot, random);
}

void cpu_ctl_arm(struct thread_slot *slot)
{
	make_timer(slot, &self.random);
}

void cpu_ctl_disarm(struct thread_slot *slot)
{
	int timer = atomic_exchange(&slot->timer, 0);

	if (timer > 0)
		os_timer_delete(timer - 1);
}

void cpu_ctl_hold(void)
{
	struct thread_slot *slot = self.slot;

	if (slot == NULL || atomic_exchange(&slot->held, true) || slot->timer <= 0)
		return;
	/* A tick that is on its way is delivered before this call returns. */
	if (os_timer_set(slot->timer - 1, 0, 0) < 0)
		count_add(COUNT_THREAD_NO_TIMER);
}

void cpu_ctl_release(void)
{
	struct thread_slot *slot = self.slot;

	if (slot != NULL && atomic_exchange(&slot->held, false) && slot->timer > 0)
		start_timer(slot, &self.random);
}

static bool follow_rate(struct thread_slot *slot, void *arg)
{
	(void)arg;
	if (slot->tid == 0)
		return true;
	if (ctl.hz == 0)
		cpu_ctl_disarm(slot);
	else if (slot->timer > 0)
		start_timer(slot, &ctl.random);
	else
		make_timer(slot, &ctl.random);
	return true;
}

void cpu_ctl_set_hz(unsigned hz)
{
	if (ctl.random == 0)
		ctl.random = random_seed(os_monotonic_ns());
	if (hz != 0)
		cpu_set_period(1000000000u / hz);
	ctl.hz = hz;
	threads_each(follow_rate, NULL);
}

void cpu_ctl_after_fork(uint64_t first_ns)
{
	struct thread_slot *slot = self.slot;

	if (slot == NULL)
		return;
	cpu_ctl_arm(slot);
	if (slot->timer > 0 && !slot->held &&
	    os_timer_set(slot->timer - 1, first_ns, cpu_period()) < 0)
		count_add(COUNT_THREAD_NO_TIMER);
}

/* --- the scan ------------------------------------------------------------------------------ */

/* Of /proc/thread-self/../TID/status; SigBlk comes within its first KiB, unless the thread has
 * hundreds of groups (proc(5)). */
#define STATUS_BYTES 4096

/* Puts "/proc/thread-self/../TID/status" together. */
static void status_path(int tid, char path[static 64])
{
	static const char front[] = "/proc/thread-self/../", back[] = "/status";
	char digits[12];
	size_t n = sizeof(digits), at = sizeof(front) - 1;

	memcpy(path, front, at);
	do
		digits[--n] = (char)('0' + tid % 10);
	while ((tid /= 10) != 0);
	memcpy(path + at, digits + n, sizeof(digits) - n);
	memcpy(path + at + sizeof(digits) - n, back, sizeof(back));
}

/* What stands behind "KEY:\t" in the text, n bytes at least; NULL if nothing does. */
static const char *find_field(const char *text, size_t len, const char *key, size_t n)
{
	size_t key_len = strlen(key);

	for (size_t i = 0; i + key_len + n <= len; i++)
		if (memcmp(text + i, key, key_len) == 0)
			return text + i + key_len;
	return NULL;
}

/* True if the thread runs and lets SIGPROF in.  One that sleeps may only seem to: sigwait opens the
 * mask for what it waits for. */
static bool runs_open(int tid)
{
	static char text[STATUS_BYTES]; /* our thread's only */
	const char *state, *mask;
	char path[64], digit;
	int fd;
	long n;

	status_path(tid, path);
	fd = os_open_read(path);
	if (fd < 0)
		return false;
	n = os_read(fd, text, sizeof(text));
	os_close(fd);
	state = n > 0 ? find_field(text, (size_t)n, "State:\t", 1) : NULL;
	mask = n > 0 ? find_field(text, (size_t)n, "SigBlk:\t", 16) : NULL;
	if (state == NULL || mask == NULL || *state != 'R')
		return false;
	/* 16 hexadecimal digits, four signals each, the first signals last. */
	digit = mask[15 - (SIGPROF - 1) / 4];
	return ((digit <= '9' ? digit - '0' : digit - 'a' + 10) >> (SIGPROF - 1) % 4 & 1) == 0;
}

/* As linux' getdents64 returns it. */
struct entry {
	uint64_t       inode;
	int64_t        offset;
	unsigned short bytes;
	unsigned char  type;
	char           name[];
};

static int parse_tid(const char *name)
{
	int tid = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (*name - '0');
	return *name == '\0' ? tid : 0;
}

/* The slots of one thread: normally one.  Between the pthread_create door and the thread's first
 * step its slot has no tid yet, and a scan in that moment makes a second one. */
struct slots_of { int tid; struct thread_slot *own, *scanned; };

static bool collect(struct thread_slot *slot, void *arg)
{
	struct slots_of *of = arg;

	if (slot->tid == of->tid)
		*(slot->scanned ? &of->scanned : &of->own) = slot;
	return true;
}

/* A thread that let SIGPROF in again by a road without a door (siglongjmp). */
static void look_at_mask(struct thread_slot *slot)
{
	if (!slot->held || !runs_open(slot->tid))
		return;
	slot->held = false;
	if (slot->timer > 0)
		start_timer(slot, &ctl.random);
}

/* A thread without a slot gets one at its first scan and its timer at the next: by then a door has
 * had the time to be first. */
static void meet(int tid)
{
	struct slots_of of = { tid, NULL, NULL };
	struct thread_slot *slot;

	if (tid <= 0 || tid == os_gettid())
		return;
	threads_each(collect, &of);
	if (of.own != NULL && of.scanned != NULL) {
		cpu_ctl_disarm(of.scanned);
		threads_release(of.scanned);
	}
	slot = of.own != NULL ? of.own : of.scanned;
	if (slot != NULL) {
		look_at_mask(slot);
		make_timer(slot, &ctl.random);
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
	static _Alignas(struct entry) char buf[1024];   /* our thread's only */
	int fd = os_open_dir("/proc/thread-self/../");
	long n;

	if (fd < 0)
		return;
	while ((n = sys_call3(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			struct entry *e = (struct entry *)(void *)(buf + at);

			meet(parse_tid(e->name));
			at += e->bytes;
		}
	os_close(fd);
}

/* Threads that left by a road without a door: a signal 0 to them fails. */
static bool release_gone(struct thread_slot *slot, void *arg)
{
	int tid = slot->tid;

	(void)arg;
	if (tid != 0 && sys_call3(SYS_tgkill, os_getpid(), tid, 0) == -3 /* ESRCH */) {
		cpu_ctl_disarm(slot);
		threads_release(slot);
	}
	return true;
}

void cpu_ctl_scan(void)
{
	threads_each(release_gone, NULL);
	meet_all();
}
