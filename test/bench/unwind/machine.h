/* machine.h -- what the benches of the unwinder need of the CPU. */
#ifndef BENCH_UNWIND_MACHINE_H
#define BENCH_UNWIND_MACHINE_H

#include <stdint.h>

/* A clock that nothing before it or after it overlaps. */
uint64_t machine_ticks(void);

/* Calls f(arg) on another stack, which grows down from top (aligned to 16).  Its frame is where the
 * stack ends, by its table (the return address is undefined) and by its frame pointer (0). */
void machine_enter(void *top, void (*f)(void *), void *arg);

#endif
