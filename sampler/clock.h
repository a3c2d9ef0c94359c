/* sampler/clock.h -- the time, from the vDSO or the kernel: the clock_gettime that the loader would
 * bind us to may be that of a tool which fakes the time, with locks and files.
 *
 * Context   any. */
#ifndef SAMPLER_CLOCK_H
#define SAMPLER_CLOCK_H

#include <time.h>

typedef int (*clock_reader)(clockid_t clock, struct timespec *t);

/* The vDSO's function; NULL, and before: the system call.  Context: the constructor. */
void clock_set_reader(clock_reader vdso);

/* The host is about to forbid itself the time stamp counter, which the vDSO reads (PR_SET_TSC):
 * from now on the kernel is asked. */
void clock_forbid_counter(void);

/* 0 or -errno. */
int clock_read(clockid_t clock, struct timespec *t);

#endif
