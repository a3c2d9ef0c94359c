#include "httpd/own.h"

#include "httpd/job.h"
#include "httpd/meter.h"
#include "httpd/names_cache.h"
#include "sampler/lock_sites.h"
#include "sampler/os.h"
#include "sampler/random.h"

/* What counts the samples of a row, and by how much one is. */
static const struct {
	const char *name;
	unsigned    value;
	uint64_t    one;
} known[GROUND_PROFILES] = {
	[GROUND_CPU] = { "profile", CPU_SAMPLES, 1 },
	[GROUND_HEAP] = { "heap", HEAP_ALLOC_RAW, 1 },
	[GROUND_MAPPED] = { "mmap", MAPPED_ALLOC_OBJECTS, 1 },
	[GROUND_BLOCK] = { "block", LOCKS_CONTENTIONS, RANDOM_WEIGHT_ONE },
	[GROUND_MUTEX] = { "mutex", LOCKS_CONTENTIONS, RANDOM_WEIGHT_ONE },
	[GROUND_CREATE] = { "threadcreate", BIRTHS_CREATED, 1 },
	[GROUND_WALL] = { "wall", WALL_SAMPLES, 1 },
};

const char *own_profile_name(enum ground_profile profile)
{
	return known[profile].name;
}

static uint64_t resident(void)
{
	size_t bytes, sum = 0;
	char *all = os_reserved(&bytes);

	for (size_t at = 0; all != NULL && at < bytes; at += OS_RESIDENT_MAX) {
		sum += os_resident(all + at, bytes - at);
		job_breathe();
	}
	return sum;
}

void own_cost(const struct exchange *x, struct own_cost *out)
{
	*out = (struct own_cost){
		.desk_ns = meter_cpu_ns(),
		.tick_ns = x->desk->ground->spent_ns(true),
		.door_ns = x->desk->ground->spent_ns(false),
		.process_ns = os_process_cpu_ns(),
		.mapped = os_mapped_bytes(),
		.names = names_cache_bytes(),
		.tables = x->desk->ground->tables(),
	};
	out->resident = resident();
}

uint64_t own_samples(struct exchange *x, enum ground_profile profile)
{
	const struct ground *ground = x->desk->ground;
	uint64_t sum = 0, value[SITES_VALUES];
	struct site_key key;

	/* Else what moves to [evicted] meanwhile would be missed, or met twice. */
	window_all(&x->window, ground, profile);
	window_begin_reading(&x->window);
	for (uint32_t row = 1; row < ground->end(profile); row++) {
		if (ground->read(profile, row, &key, value))
			sum += value[known[profile].value];
		if (row % 256 == 0)
			job_breathe();
	}
	window_close(&x->window);
	return sum / known[profile].one;
}
