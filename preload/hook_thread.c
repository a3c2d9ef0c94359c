/* The doors of pthread_create and thrd_create: the new thread starts here, gets its slot and its
 * timer, and goes on to what the host wanted.  Its end is seen however it ends: return,
 * pthread_exit, thrd_exit or cancellation. */
#include <pthread.h>
#include <threads.h>
#include <time.h>

#include "preload/export.h"
#include "preload/real.h"
#include "preload/signals.h"
#include "sampler/births.h"
#include "sampler/cpu.h"
#include "sampler/cpu_ctl.h"
#include "sampler/locks.h"
#include "sampler/mutex_gates.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"
#include "sampler/threads.h"

/* Above run_thread are the frames of libc's start routine and then the thread's control block, TLS
 * and guard: all mapped, and the block alone (struct pthread) is 2.3 KB. */
#define ABOVE_BYTES 2048
/* What else a stack's size may hold: static TLS at its high end, the guard at its low one. */
#define AROUND_BYTES (64u << 10)

/* A thread that may be cancelled at any point (PTHREAD_CANCEL_ASYNCHRONOUS) is not in the midst of
 * this: nobody would release its slot. */
static void end_thread(void *unused)
{
	int may_be_cancelled;

	(void)unused;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &may_be_cancelled);
	locks_thread_ends();
	if (self.slot != NULL) {
		births_ended(self.slot);
		cpu_thread_ends();
		cpu_ctl_leave(self.slot);
	}
	threads_leave();
	pthread_setcancelstate(may_be_cancelled, NULL);
}

/* The id of a thread's CPU clock has its tid in it (linux/posix-timers.h): libc needs no system
 * call for it. */
static int own_tid(void)
{
	clockid_t clock;

	if (pthread_getcpuclockid(pthread_self(), &clock) == 0 && clock < 0 && (clock & 7) == 6)
		return ~(clock >> 3);
	return os_gettid();
}

/* frame: of the function that libc has called. */
static void begin_thread(struct thread_slot *slot, const void *frame)
{
	slot->stack_hi = (uintptr_t)frame + ABOVE_BYTES;
	if (slot->stack_bytes > 2 * AROUND_BYTES)
		slot->stack_lo = slot->stack_hi - (slot->stack_bytes - AROUND_BYTES);
	else
		slot->stack_lo = slot->stack_hi - slot->stack_bytes / 4;
	/* Its mask is the creator's, or the attribute's; it has no alternate stack.  Once it has
	 * entered the scan may start its timer. */
	signals_look_at_mask(slot);
	threads_enter_as(slot, own_tid());
	cpu_ctl_begin(slot);
}

/* Compiled as plain C, pthread_cleanup_push needs no unwinder of ours. */
#define RUN(result, slot, start)                               \
	begin_thread((slot), __builtin_frame_address(0));      \
	pthread_cleanup_push(end_thread, NULL);                \
	(result) = (start)((slot)->start_arg);                 \
	pthread_cleanup_pop(1)

static void *run_thread(void *arg)
{
	struct thread_slot *slot = arg;
	void *result;

	RUN(result, slot, slot->start);
	return result;
}

static int run_c11(void *arg)
{
	struct thread_slot *slot = arg;
	int result;

	RUN(result, slot, (thrd_start_t)(void (*)(void))slot->start);
	return result;
}

/* --- who makes it ---------------------------------------------------------------------------- */

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

/* NULL: it is none of ours. */
static struct thread_slot *announce(const pthread_attr_t *attr, real_start start, void *arg)
{
	struct thread_slot *slot;

	mutex_gates_others();
	threads_settle();
	if (self.phase == SELF_NEW)
		threads_enter(NULL);
	slot = threads_claim();
	if (slot == NULL)
		return NULL;
	slot->start = start;
	slot->start_arg = arg;
	slot->stack_bytes = stack_size(attr);
	births_begin(slot);
	return slot;
}

static void take_back(struct thread_slot *slot)
{
	births_ended(slot);
	threads_release(slot);
}

EXPORT int pthread_create(pthread_t *t, const pthread_attr_t *attr, real_start start, void *arg)
{
	struct thread_slot *slot = announce(attr, start, arg);
	int err;

	if (slot == NULL)
		return real.pthread_create(t, attr, start, arg);
	err = real.pthread_create(t, attr, run_thread, slot);
	if (err != 0)
		take_back(slot);
	return err;
}

/* libc's own does not come by the other. */
EXPORT int thrd_create(thrd_t *t, thrd_start_t start, void *arg)
{
	struct thread_slot *slot = announce(NULL, (real_start)(void (*)(void))start, arg);
	int err;

	if (slot == NULL)
		return real.thrd_create(t, start, arg);
	err = real.thrd_create(t, run_c11, slot);
	if (err != thrd_success)
		take_back(slot);
	return err;
}

/* --- its name -------------------------------------------------------------------------------- */

EXPORT int pthread_setname_np(pthread_t t, const char *name)
{
	int err = real.pthread_setname_np(t, name);

	thread_names_changed();
	return err;
}
