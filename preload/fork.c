#include "preload/fork.h"

#include <pthread.h>
#include <stdatomic.h>

#include "httpd/desk.h"
#include "preload/libunwind.h"
#include "preload/sandbox.h"
#include "sampler/asks.h"
#include "sampler/births.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_ctl.h"
#include "sampler/heap.h"
#include "sampler/locks.h"
#include "sampler/mapped.h"
#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/tables.h"
#include "sampler/threads.h"
#include "sampler/wall.h"

/* CPU time of a child before its desk comes: most children exec or end within it, and pay nothing
 * but a timer.  In the handler itself a desk would double the price of fork (what-breaks.md C9). */
#define DESK_AFTER_NS 1000000
/* How long a parent that counts threads is left alone. */
#define ALONE_NS 20000000

static struct {
	bool             follow, has_desk;
	_Atomic bool     away;          /* a parent that forks alone has sent its desk away */
	_Atomic uint64_t away_until_ns;
} fork_;

/* --- the child ------------------------------------------------------------------------------- */

static bool start_desk(void)
{
	(void)desk_start();     /* it says itself what it could not do */
	return true;
}

/* One line for each part of ours that a child inherits. */
static void settle_all(void)
{
	bool ticks;

	fork_.away = false;
	count_reset();
	if (libunwind_is_lost())
		sample_init(UNWIND_AUTO);
	mapped_before_settling();
	threads_after_fork();
	asks_after_fork();
	generations_after_fork(&cpu_table);
	heap_after_fork();
	mapped_after_fork();
	locks_after_fork();
	births_after_fork();
	wall_after_fork();
	modules_after_fork();
	modules_scan_after_fork();
	tables_after_fork();
	desk_after_fork();
	if (!fork_.follow) {
		desk_stay_away();
		cpu_ctl_raise_hz(0);
		cpu_ctl_set_hz(0);
		heap_set_rate(0);
		locks_set_block_rate(0);
		locks_set_mutex_fraction(0);
		mapped_stop();
		return;
	}
	ticks = cpu_ctl_after_fork(DESK_AFTER_NS);
	if (fork_.has_desk && (!ticks || !desk_starts_anywhere()))
		start_desk();   /* no tick will come, or it cannot do it */
	else if (fork_.has_desk)
		cpu_at_next_tick(start_desk);
}

/* Ticks and handlers of the host's that come between find nothing to write to. */
static void settle(void)
{
	uint8_t phase = self.phase == SELF_CHILD ? SELF_READY : self.phase;

	self.phase = SELF_GONE;
	settle_all();
	self.phase = phase;
}

static void in_child(void)
{
	bool ticks;

	/* What holds for the parent's system calls holds for its child's. */
	if (sandbox_entered())
		return;
	mapped_in_child();
	self.tid = os_gettid();
	self.child_timer = 0;           /* of an unsettled parent: not inherited */
	if (self.phase == SELF_CHILD)
		self.phase = SELF_READY;
	ticks = fork_.follow && self.phase == SELF_READY && cpu_ctl_wake_child(DESK_AFTER_NS);
	/* A desk wants a tick to come, and one in which it can start; and where its parent's has no
	 * descriptors of its own, the child has them now. */
	if (fork_.follow && self.phase == SELF_READY &&
	    (!fork_.has_desk || (ticks && desk_starts_anywhere() && os_has_own_files())))
		self.phase = SELF_CHILD;
	else
		settle();
}

/* --- a parent that must be alone ------------------------------------------------------------- */

static bool let_desk_back(void)
{
	if (os_monotonic_ns() < fork_.away_until_ns)
		cpu_at_next_tick(let_desk_back);
	else if (atomic_exchange(&fork_.away, false))
		desk_let_back();
	return false;
}

/* Clients are not cut for this.  Without ticks, or where no tick can do it, nothing would bring our
 * thread back. */
static void before_fork(void)
{
	if (sandbox_entered() || !desk_is_idle() || !cpu_ctl_ticks() || !desk_starts_anywhere() ||
	    threads_elsewhere())
		return;
	/* A tick meanwhile is too early. */
	fork_.away_until_ns = UINT64_MAX;
	if (!atomic_exchange(&fork_.away, true))
		desk_hold_off();
}

static void in_parent(void)
{
	if (!fork_.away)
		return;
	fork_.away_until_ns = os_monotonic_ns() + ALONE_NS;
	cpu_at_next_tick(let_desk_back);
}

void fork_init(bool follow, bool has_desk, bool alone)
{
	fork_.follow = follow;
	fork_.has_desk = has_desk;
	threads_when_settling(settle);
	if (has_desk && alone)
		pthread_atfork(before_fork, in_parent, in_child);
	else
		pthread_atfork(NULL, NULL, in_child);
}
