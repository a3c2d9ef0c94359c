#include "sampler/cpu_timers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "sampler/cpu.h"
#include "sampler/os.h"
#include "sampler/status.h"
#include "sampler/sys.h"

#define NO_LIMIT UINT32_MAX

static struct {
	_Atomic unsigned left;          /* by others, at the last reading; NO_LIMIT */
	_Atomic unsigned taken;
} timers = { .left = NO_LIMIT };

void cpu_timers_read(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct status status;
	uint64_t others = 0;

	if (sys_call4(SYS_prlimit64, 0, RLIMIT_SIGPENDING, NULL, &limit) < 0 ||
	    limit.rlim_cur >= NO_LIMIT) {
		timers.left = NO_LIMIT;
		return;
	}
	if (status_read(0, &status) && status.queued > timers.taken)
		others = status.queued - timers.taken;
	timers.left = limit.rlim_cur > others ? (unsigned)(limit.rlim_cur - others) : 0;
}

unsigned cpu_timers_max(void)
{
	unsigned left = timers.left;

	if (left == NO_LIMIT)
		return NO_LIMIT;
	/* Of three, one: two remain for others, and a quarter would be none at all. */
	return left >= 4 ? left / 4 : left == 3;
}

unsigned cpu_timers_taken(void)
{
	return timers.taken;
}

static bool take(void)
{
	unsigned taken = timers.taken;

	do
		if (taken >= cpu_timers_max())
			return false;
	while (!atomic_compare_exchange_weak(&timers.taken, &taken, taken + 1));
	return true;
}

static void give(void)
{
	atomic_fetch_sub(&timers.taken, 1);
}

int cpu_timers_create_with(int tid, const void *cookie)
{
	int timer;

	if (!take())
		return -EAGAIN;
	timer = os_timer_create(tid, cookie);
	if (timer < 0)
		give();
	return timer < 0 ? timer : timer + 1;
}

int cpu_timers_create(int tid)
{
	return cpu_timers_create_with(tid, cpu_cookie());
}

void cpu_timers_adopt(void)
{
	atomic_fetch_add(&timers.taken, 1);
}

void cpu_timers_delete(int timer)
{
	if (timer <= 0)
		return;
	os_timer_delete(timer - 1);
	give();
}

void cpu_timers_after_fork(void)
{
	unsigned parents = atomic_exchange(&timers.taken, 0), left = timers.left;

	if (left != NO_LIMIT)
		timers.left = left > parents ? left - parents : 0;
}
