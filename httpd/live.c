#include "httpd/live.h"

#include "httpd/job.h"
#include "sampler/os.h"

#define SECOND_NS 1000000000u

void live_each(const struct ground *ground, struct live_walk *walk)
{
	uint64_t now_ns = os_monotonic_ns(), born_ns;
	size_t end = ground->live_end();
	struct heap_block block;

	for (size_t cell = 0; cell < end; cell++) {
		if (cell % 1024 == 0)
			job_breathe();
		if (!ground->live(cell, &block, &born_ns))
			continue;
		born_ns = born_ns < now_ns ? born_ns : now_ns;
		if ((now_ns - born_ns) / SECOND_NS >= walk->min_age_s)
			walk->each(walk, &block, (now_ns - born_ns) / SECOND_NS);
	}
}
