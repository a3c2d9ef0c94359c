/* sampler/wall.h -- the wall-clock profile: where all threads are, whether they use a CPU or not.
 *
 * Only while somebody has a window open.  Our thread looks at each thread at every tick (hz a
 * second) and credits it with the time that has passed since the last look: the interval that ends
 * at a look stands for what was seen at it.
 *
 * Nothing is lost or counted twice: the looks at a thread cut its time into intervals, each
 * credited once, so that the total of a thread is the time itself, however late our thread comes.
 * And no share is biased: each pause before a tick is drawn anew, from half to three halves of the
 * period, whatever the host does.  So a moment of the host's is as likely to be that of a look as
 * any other, and the interval before a look is no longer in one place than in another; what is
 * expected for a state is the time spent in it (also for a thread that lives for less than a tick:
 * it is seen at all with the probability that makes up for the whole interval).
 *
 * How much of an interval was on a CPU, or waiting for one, the kernel has counted, exactly; only
 * which stack it belongs to is sampled.  Nobody is interrupted for that: where a thread sleeps is
 * seen from outside, where it runs the ticks of the CPU profile have met it (wall_thread.h).
 *
 * A thread that has not run since it was seen asleep is where it was: that takes one system call,
 * some 300 ns.  Any other takes some 20 us.  A tick takes at most 1 / WALL_REST of its period, and
 * after more our thread rests the longer; the threads that it did not come to have their turn at
 * the next tick, before the others.  So a process of thousands of threads is looked at less often,
 * some at a time, each at random moments as above; the figures stay what they are.  Only at the
 * beginning, when every stack is new, our thread takes up to 1 / WALL_REST_FIRST of a CPU for once.
 *
 * Context   our thread.
 * Memory    the budget; 96 bytes for each slot of a thread (threads.h), from the first tick on.
 * When full [evicted], counted by count.wall_no_stack and count.wall_no_site; threads without a
 *           slot are not seen (count.thread_no_slot). */
#ifndef SAMPLER_WALL_H
#define SAMPLER_WALL_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/generations.h"

/* Of a CPU: one part in so many. */
#define WALL_REST       50
#define WALL_REST_FIRST 5

#define WALL_HZ_MAX 1000

/* Samples are looks, in units of 1 / RANDOM_WEIGHT_ONE: one may be shared by two states. */
enum wall_value { WALL_SAMPLES, WALL_NANOSECONDS };

/* What a thread did; in a key, its labels. */
enum wall_state { WALL_NO_STATE, WALL_ON_CPU, WALL_RUNNABLE, WALL_OFF_CPU };

/* Frames of stacks that nobody has seen: neither a pc nor code. */
#define FRAME_WALL_NO_STACK ((frame_t)10)       /* it ran, and did not answer */
#define FRAME_WALL_HIDDEN   ((frame_t)11)       /* what it does is not to be had */
#define FRAME_WALL_UNSEEN   ((frame_t)13)       /* its turn had not come yet */

extern struct generations wall_table;

/* 0 or -ENOMEM; then nothing is mapped, and there is no profile. */
MUST_CHECK int wall_init(uint64_t budget_bytes);
void wall_after_fork(void);

/* Goes on, for at most a millisecond; hz: ticks per second, 0: nobody wants any.  Returns when
 * (os_monotonic_ns) to call it again. */
uint64_t wall_go_on(unsigned hz);

/* A window begins or ends now: what has passed since the last look at each thread is credited with
 * what was seen then.  *next: 0 at first.  False: call it again, it takes more than a
 * millisecond. */
MUST_CHECK bool wall_settle(uint32_t *next);

/* "on-cpu", "runnable", "off-cpu"; NULL for WALL_NO_STATE. */
const char *wall_state_name(uint16_t state);

#endif
