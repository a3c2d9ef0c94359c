/* sampler/cpu_timers.h -- the timers that we take from the kernel, and how many.
 *
 * It counts POSIX timers and queued signals together, for all processes of a user, against
 * RLIMIT_SIGPENDING; at the limit sigqueue and timer_create fail in any of them.  So a process
 * takes a quarter at most of what others have left (what-breaks.md G3).
 *
 * Context   create, delete: any, inside handlers.  The rest: as said there. */
#ifndef SAMPLER_CPU_TIMERS_H
#define SAMPLER_CPU_TIMERS_H

#include "sampler/compiler.h"

/* Looks what is left now.  Context: the constructor, then our thread. */
void cpu_timers_read(void);

/* On the CPU clock of this thread, 0: of the whole process; it does not go yet.  Returns its id
 * + 1; -EAGAIN: the quarter is used up; or what the kernel said. */
MUST_CHECK int cpu_timers_create(int tid);
/* The same with another value than cpu_cookie. */
MUST_CHECK int cpu_timers_create_with(int tid, const void *cookie);
/* One made by os_timer_create is ours. */
void cpu_timers_adopt(void);
/* id + 1; 0 and less are no timer. */
void cpu_timers_delete(int timer);

/* The quarter, and how many of it are taken. */
unsigned cpu_timers_max(void);
unsigned cpu_timers_taken(void);

/* A fork child: it has no timers, and its parent's are others'. */
void cpu_timers_after_fork(void);

#endif
