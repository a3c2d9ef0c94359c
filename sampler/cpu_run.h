/* sampler/cpu_run.h -- a timer of the CPU profile goes, or stands still.
 *
 * For cpu_ctl.c, which says who has one.  Whoever starts a timer looks afterwards whether it should
 * stand still by now, and whoever lets it stand still says so before he stops it: so they may meet.
 *
 * Context   any, inside handlers of the host's too. */
#ifndef SAMPLER_CPU_RUN_H
#define SAMPLER_CPU_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/threads.h"

struct cpu_run {
	_Atomic uint64_t period_ns;     /* of the timers; a tick's weight is cpu_period */
	_Atomic int      one;           /* the timer for all, its id + 1; 0: each has its own */
	_Atomic unsigned holders;       /* threads that are held */
	_Atomic bool     ignored, desk_works;
	uint64_t         random;        /* of our thread */
};

extern HIDDEN struct cpu_run cpu_run;

bool cpu_run_is_still(const struct thread_slot *slot);

/* Anywhere in the first period, so that threads born together do not tick together and short ones
 * are sampled as often as long ones. */
uint64_t cpu_run_draw_first(void);

/* timer: an id + 1, or none (<= 0).  A tick that is on its way is delivered before it returns. */
void cpu_run_stop(int timer);
void cpu_run_stop_own(struct thread_slot *slot);

/* Unless they have to stand still; at a first expiry that is drawn, or that is given. */
void cpu_run_start_own(struct thread_slot *slot);
void cpu_run_start_own_at(struct thread_slot *slot, uint64_t first_ns);
void cpu_run_start_one(void);

#endif
