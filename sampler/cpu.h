/* sampler/cpu.h -- the CPU profile: what happens in a tick.
 *
 * Each thread has a timer on its own CPU clock (cpu_ctl.h).  A tick adds one site's samples and
 * nanoseconds; a period that expired while the signal was on its way (si_overrun) counts with it.
 *
 * Context   cpu_tick: inside SIGPROF, on the thread that used the CPU. */
#ifndef SAMPLER_CPU_H
#define SAMPLER_CPU_H

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

#include "sampler/compiler.h"
#include "sampler/generations.h"

enum cpu_value { CPU_SAMPLES, CPU_NANOSECONDS };

extern struct generations cpu_table;

/* 0 or -ENOMEM; then nothing is mapped. */
MUST_CHECK int cpu_init(uint64_t budget_bytes);

/* True if this signal is a tick of ours: by its value, which only our timers carry. */
int cpu_is_tick(const siginfo_t *info);

void cpu_tick(const siginfo_t *info, const ucontext_t *uc);

/* The calling thread ends: what it has used since its last tick, which the kernel will not notice
 * any more, is counted on the function that it began with (slot->start). */
void cpu_thread_ends(void);

/* The value our timers carry. */
const void *cpu_cookie(void);

/* Nanoseconds that one tick stands for. */
void cpu_set_period(uint64_t ns);
uint64_t cpu_period(void);

/* f is called once, at the next tick.  True: that tick came early on purpose and is no sample, it
 * would count a whole period for less. */
void cpu_at_next_tick(bool (*f)(void));

#endif
