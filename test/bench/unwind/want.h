/* want.h -- tables that are compiled from the start, as those of a program that has run for long:
 * in the product that comes with the CPU time that it has used (tables.h). */
#ifndef BENCH_UNWIND_WANT_H
#define BENCH_UNWIND_WANT_H

#include "sampler/modules.h"
#include "sampler/tables.h"
#include "test/fake/cpu_clock.h"

static inline void want(struct tables *t)
{
	if (t != NULL)
		tables_ask(t);
}

static inline void want_all(void)
{
	for (uint32_t i = 0; i < modules_count(); i++)
		want(modules_at(i)->tables);
}

#endif
