/* sampler/cpu_scan.h -- what no door tells: threads that came or went another way, masks that
 * changed behind our back, and what is left of the timers.
 *
 * Context   our thread. */
#ifndef SAMPLER_CPU_SCAN_H
#define SAMPLER_CPU_SCAN_H

#include <stdbool.h>
#include <stdint.h>

/* Now and then.  Threads that came without a door (raw clone, libc's own, born before us) get a
 * slot and a timer, slots whose thread has gone are released.  A thread that has let SIGPROF in by
 * a road without a door (siglongjmp, setcontext) is sampled again when two looks have seen it run
 * so; one that has blocked it so (swapcontext, a handler's mask) is held when a tick waits for it.
 * Then as cpu_scan_timers. */
void cpu_scan(void);

/* The same in steps of less than a millisecond, shared by all who want one: *ticket is 0 at first.
 * False: one that began after that is over. */
bool cpu_scan_go_on(uint64_t *ticket);

/* Looks what is left of the timers; goes over to one for all threads, or back. */
void cpu_scan_timers(void);

/* Before our thread waits, and after. */
void cpu_scan_rest(bool rests);

#endif
