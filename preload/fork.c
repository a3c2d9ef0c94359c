#include "preload/fork.h"

#include <pthread.h>

#include "httpd/desk.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/cpu_ctl.h"
#include "sampler/heap.h"
#include "sampler/threads.h"

/* CPU time of a child before its desk comes: most children exec or end within it, and pay nothing
 * but a timer.  In the handler itself a desk would double the price of fork (what-breaks.md C9). */
#define DESK_AFTER_NS 1000000

static struct { bool follow, has_desk; } fork_;

static void start_desk(void)
{
	(void)desk_start();     /* it says itself what it could not do */
}

static void in_child(void)
{
	count_reset();
	threads_after_fork();
	desk_after_fork();
	if (!fork_.follow) {
		cpu_ctl_set_hz(0);
		heap_set_rate(0);
		return;
	}
	if (fork_.has_desk && (cpu_ctl_hz() == 0 || !desk_starts_anywhere()))
		start_desk();   /* no tick will come, or it cannot do it */
	else if (fork_.has_desk)
		cpu_on_first_tick(start_desk);
	cpu_ctl_after_fork(DESK_AFTER_NS);
}

void fork_init(bool follow, bool has_desk)
{
	fork_.follow = follow;
	fork_.has_desk = has_desk;
	pthread_atfork(NULL, NULL, in_child);
}
