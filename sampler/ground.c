#include "sampler/ground.h"

#include "sampler/cpu_ctl.h"
#include "sampler/thread_names.h"

static struct stacks *const stacks[GROUND_PROFILES] = { &cpu_stacks, &heap_stacks };
static struct sites *const sites[GROUND_PROFILES] = { &cpu_sites, &heap_sites };

static uint32_t end(enum ground_profile profile)
{
	return sites_end(sites[profile]);
}

static bool read_row(enum ground_profile profile, uint32_t row, struct site_key *key,
		 uint64_t value[SITES_VALUES])
{
	return sites_read(sites[profile], row, key, value);
}

static unsigned frames(enum ground_profile profile, uint32_t stack, frame_t *frame, unsigned max)
{
	return stacks_frames(stacks[profile], stack, frame, max);
}

static void refresh(void)
{
	(void)!modules_scan(false);     /* a failed one leaves what was known */
}

static void get_rates(struct ground_rates *rates)
{
	*rates = (struct ground_rates){ cpu_ctl_hz(), heap_rate() };
}

static void set_rates(const struct ground_rates *rates)
{
	if (rates->cpu_hz != cpu_ctl_hz())
		cpu_ctl_set_hz(rates->cpu_hz);
	heap_set_rate(rates->heap_rate);
}

const struct ground ground_table = {
	.end = end,
	.read = read_row,
	.frames = frames,
	.thread_name = thread_names_get,
	.refresh = refresh,
	.wants_refresh = modules_are_wanted,
	.find_threads = cpu_ctl_scan,
	.modules = modules_count,
	.module = modules_at,
	.find_module = modules_find,
	.frame = modules_frame,
	.dropped = count_get,
	.get_rates = get_rates,
	.set_rates = set_rates,
};
