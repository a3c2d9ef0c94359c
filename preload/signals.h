/* preload/signals.h -- SIGPROF, shared with the host.
 *
 * The kernel's handler is ours.  What the host installs is kept beside it and called for every
 * SIGPROF that is not a tick of ours; while it has a handler, the kernel's flags and mask are
 * the host's, so that its signals interrupt (or not) what they would have interrupted.  While the
 * host ignores SIGPROF, so does the kernel: what it execs inherits that, and no tick comes.
 *
 * A thread that blocks SIGPROF, or has a small alternate stack, gets no ticks (cpu_ctl.h): the
 * doors of the mask are in hook_sigmask.c, those of the stack in hook_sigaltstack.c. */
#ifndef PRELOAD_SIGNALS_H
#define PRELOAD_SIGNALS_H

#include "sampler/compiler.h"

/* Install our handler; the present disposition becomes the host's.  0 or -errno.
 * Context: the constructor. */
MUST_CHECK int signals_init(void);

/* The calling thread's timer is held if it blocks SIGPROF now, or if its alternate stack has no
 * room for a tick.  slot: its own, or the one that it will enter; NULL: none.
 * Context: before the timer is made: the constructor, a new thread (whose stack is none yet). */
struct thread_slot;
void signals_look_at_mask(struct thread_slot *slot);
void signals_look_at_stack(void);

#endif
