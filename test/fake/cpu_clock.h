/* test/fake/cpu_clock.h -- stands in for sampler/os_cpu.c: the process has run for very long, or
 * for as long as a test says. */
#ifndef TEST_FAKE_CPU_CLOCK_H
#define TEST_FAKE_CPU_CLOCK_H

#include "sampler/os.h"

static uint64_t cpu_clock_ns = UINT64_MAX / 8;

uint64_t os_process_cpu_ns(void) { return cpu_clock_ns; }

#endif
