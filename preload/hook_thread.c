/* The pthread_create door: the new thread starts here, gets its slot and its timer, and goes on to
 * what the host wanted.  Its end is seen however it ends: return, pthread_exit or cancellation. */
#include <pthread.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/cpu_ctl.h"
#include "sampler/self.h"
#include "sampler/threads.h"

/* Above run_thread are the frames of libc's start routine and then the thread's control block, TLS
 * and guard: all mapped, and the block alone (struct pthread) is 2.3 KB. */
#define ABOVE_BYTES 2048

static void end_thread(void *unused)
{
	(void)unused;
	if (self.slot != NULL)
		cpu_ctl_disarm(self.slot);
	threads_leave();
}

/* Compiled as plain C, pthread_cleanup_push needs no unwinder of ours. */
static void *run_thread(void *arg)
{
	struct thread_slot *slot = arg;
	real_start start = slot->start;
	void *start_arg = slot->start_arg, *result;

	slot->stack_hi = (uintptr_t)__builtin_frame_address(0) + ABOVE_BYTES;
	threads_enter(slot);
	cpu_ctl_arm(slot);
	pthread_cleanup_push(end_thread, NULL);
	result = start(start_arg);
	pthread_cleanup_pop(1);
	return result;
}

EXPORT int pthread_create(pthread_t *t, const pthread_attr_t *attr, real_start start, void *arg)
{
	struct thread_slot *slot = threads_claim();
	int err;

	if (slot == NULL)
		return real.pthread_create(t, attr, start, arg);
	slot->start = start;
	slot->start_arg = arg;
	err = real.pthread_create(t, attr, run_thread, slot);
	if (err != 0)
		threads_release(slot);
	return err;
}
