/* test/fake/paper_threads.h -- the calling thread and three more, which exist on paper only, with CPU
 * timers of paper_timers.h: set-up and end of a test. */
#ifndef TEST_FAKE_PAPER_THREADS_H
#define TEST_FAKE_PAPER_THREADS_H

#include "fake/paper_timers.h"
#include "sampler/count.h"
#include "sampler/cpu_ctl.h"
#include "sampler/cpu_timers.h"
#include "sampler/os.h"
#include "sampler/self.h"

#define HZ     1000
#define PERIOD (1000000000u / HZ)
#define OTHERS 3
#define OTHER_TID(i) (1000000000 + (int)(i))

static struct thread_slot *other[OTHERS];

/* The calling thread and three on paper, all with timers. */
static inline int start(void **state)
{
	(void)state;
	paper_reset();
	count_reset();
	threads_enter(NULL);
	cpu_ctl_set_hz(HZ);
	cpu_ctl_arm(self.slot);
	for (unsigned i = 0; i < OTHERS; i++) {
		other[i] = threads_claim();
		other[i]->tid = OTHER_TID(i);
		cpu_ctl_arm(other[i]);
	}
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	cpu_ctl_ignore(false);
	cpu_ctl_desk_works(false);
	cpu_ctl_set_hz(0);
	for (unsigned i = 0; i < OTHERS; i++)
		if (threads_find(OTHER_TID(i)) == other[i]) {
			cpu_ctl_leave(other[i]);
			threads_release(other[i]);
		}
	if (self.slot != NULL)
		cpu_ctl_leave(self.slot);
	threads_leave();
	self = (struct self){ .phase = SELF_NEW };
	return paper_count() != 0 || cpu_timers_taken() != 0;
}

static inline struct paper_timer *mine(void)
{
	return paper_of(os_gettid());
}

static inline bool goes(const struct paper_timer *t)
{
	return t != NULL && t->period_ns != 0;
}

static inline struct paper_timer *the_one(void)
{
	return paper_of(0);
}

#endif
