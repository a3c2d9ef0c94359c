#include "sampler/spent.h"

#include <stdatomic.h>

#include "sampler/os.h"

static _Atomic uint64_t spent[2];

void spent_begin(struct spent *s)
{
	uint64_t before = os_thread_cpu_ns(0);

	s->begin_ns = os_thread_cpu_ns(0);
	s->clock_ns = s->begin_ns - before;
}

void spent_end(struct spent *s, bool tick)
{
	uint64_t now_ns = os_thread_cpu_ns(0), from_ns = s->begin_ns + s->clock_ns;

	s->begin_ns = 0;
	/* A host that has forbidden itself clocks meanwhile gives 0. */
	if (now_ns > from_ns)
		atomic_fetch_add_explicit(&spent[tick], (now_ns - from_ns) * SPENT_EVERY,
					  memory_order_relaxed);
}

uint64_t spent_ns(bool tick)
{
	return atomic_load_explicit(&spent[tick], memory_order_relaxed);
}

void spent_after_fork(void)
{
	spent[false] = spent[true] = 0;
}
