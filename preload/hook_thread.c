/* The pthread_create door: the new thread starts here, gets its slot and its timer, and goes on to
 * what the host wanted.  Its end is seen however it ends: return, pthread_exit or cancellation. */
#include <pthread.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/signals.h"
#include "sampler/cpu_ctl.h"
#include "sampler/locks.h"
#include "sampler/self.h"
#include "sampler/threads.h"

/* Above run_thread are the frames of libc's start routine and then the thread's control block, TLS
 * and guard: all mapped, and the block alone (struct pthread) is 2.3 KB. */
#define ABOVE_BYTES 2048
/* What else a stack's size may hold: static TLS at its high end, the guard at its low one. */
#define AROUND_BYTES (64u << 10)

static void end_thread(void *unused)
{
	(void)unused;
	locks_thread_ends();
	if (self.slot != NULL)
		cpu_ctl_leave(self.slot);
	threads_leave();
}

/* Compiled as plain C, pthread_cleanup_push needs no unwinder of ours. */
static void *run_thread(void *arg)
{
	struct thread_slot *slot = arg;
	real_start start = slot->start;
	void *start_arg = slot->start_arg, *result;

	slot->stack_hi = (uintptr_t)__builtin_frame_address(0) + ABOVE_BYTES;
	if (slot->stack_bytes > 2 * AROUND_BYTES)
		slot->stack_lo = slot->stack_hi - (slot->stack_bytes - AROUND_BYTES);
	else
		slot->stack_lo = slot->stack_hi - slot->stack_bytes / 4;
	/* Its mask is the creator's, or the attribute's; it has no alternate stack.  Once it has
	 * entered the scan may start its timer. */
	signals_look_at_mask(slot);
	threads_enter(slot);
	cpu_ctl_arm(slot);
	pthread_cleanup_push(end_thread, NULL);
	result = start(start_arg);
	pthread_cleanup_pop(1);
	return result;
}

/* libc's default is that of a fresh attribute; reading it takes no memory. */
static size_t stack_size(const pthread_attr_t *attr)
{
	pthread_attr_t fresh;
	size_t bytes = 0;

	if (attr != NULL) {
		pthread_attr_getstacksize(attr, &bytes);
	} else if (pthread_attr_init(&fresh) == 0) {
		pthread_attr_getstacksize(&fresh, &bytes);
		pthread_attr_destroy(&fresh);
	}
	return bytes;
}

EXPORT int pthread_create(pthread_t *t, const pthread_attr_t *attr, real_start start, void *arg)
{
	struct thread_slot *slot;
	int err;

	threads_settle();
	slot = threads_claim();
	if (slot == NULL)
		return real.pthread_create(t, attr, start, arg);
	slot->start = start;
	slot->start_arg = arg;
	slot->stack_bytes = stack_size(attr);
	err = real.pthread_create(t, attr, run_thread, slot);
	if (err != 0)
		threads_release(slot);
	return err;
}
