#include "sampler/ground.h"

#include "sampler/births.h"
#include "sampler/cpu_ctl.h"
#include "sampler/heap_live.h"
#include "sampler/lock_ids.h"
#include "sampler/lock_pairs.h"
#include "sampler/reclaim.h"
#include "sampler/spent.h"
#include "sampler/cpu_scan.h"
#include "sampler/modules_scan.h"
#include "sampler/tables.h"
#include "sampler/thread_names.h"

static struct generations *const table[GROUND_PROFILES] = {
	&cpu_table, &heap_table, &mapped_table, &locks_block_table, &locks_mutex_table,
	[GROUND_CREATE] = &births_table, [GROUND_WALL] = &wall_table,
};

static uint32_t end(enum ground_profile profile)
{
	return sites_end(&table[profile]->sites);
}

static uint32_t count_sites(enum ground_profile profile)
{
	return profile == GROUND_CREATE ? births_live() : generations_sites(table[profile]);
}

static bool read_row(enum ground_profile profile, uint32_t row, struct site_key *key,
		 uint64_t value[SITES_VALUES])
{
	return sites_read(&table[profile]->sites, row, key, value);
}

static bool live_block(size_t cell, struct heap_block *block, uint64_t *born_ns)
{
	if (!heap_live_at(cell, block))
		return false;
	*born_ns = heap_birth_ns(block);
	return true;
}

static unsigned frames(enum ground_profile profile, uint32_t stack, frame_t *frame, unsigned max)
{
	return generations_frames(table[profile], stack, frame, max);
}

static uint64_t lock_address(uint32_t id)
{
	return (uintptr_t)lock_ids_address(id);
}

static uint32_t lock_pairs_end(void)
{
	return LOCK_PAIRS;
}

static bool lock_pair(uint32_t cell, struct lock_pair *out)
{
	return lock_pairs_at(cell, &locks_block_table, &locks_mutex_table, out);
}

struct listener {
	enum ground_profile profile;
	void (*moved)(enum ground_profile profile, uint32_t row);
};

static void tell(uint32_t row, void *arg)
{
	const struct listener *l = arg;

	l->moved(l->profile, row);
}

static uint64_t reclaim(enum ground_profile profile, bool reading, bool *waits,
			void (*moved)(enum ground_profile profile, uint32_t row))
{
	struct listener l = { profile, moved };
	uint64_t when = UINT64_MAX;

	if (table[profile]->kind != NULL)       /* else there was no memory for it */
		when = reclaim_go_on(table[profile], reading, tell, &l);
	*waits = reading && reclaim_waits_for_readers(table[profile]);
	return when;
}

static void memory(enum ground_profile profile, struct ground_memory *out)
{
	generations_memory(table[profile], &out->budget, &out->used);
}

static void get_rates(struct ground_rates *rates)
{
	*rates = (struct ground_rates){ cpu_ctl_hz(), heap_rate(), locks_block_rate(),
					locks_mutex_fraction() };
}

static void set_rates(const struct ground_rates *rates)
{
	if (rates->cpu_hz != cpu_ctl_hz())
		cpu_ctl_set_hz((unsigned)rates->cpu_hz);
	heap_set_rate(rates->heap_rate);
	locks_set_block_rate(rates->block_rate);
	locks_set_mutex_fraction(rates->mutex_fraction);
}

const struct ground ground_table = {
	.end = end,
	.sites = count_sites,
	.read = read_row,
	.live_end = heap_live_end,
	.live = live_block,
	.frames = frames,
	.lock = lock_address,
	.lock_pairs_end = lock_pairs_end,
	.lock_pair = lock_pair,
	.thread_name = thread_names_get,
	.birth = births_of,
	.reclaim = reclaim,
	.refresh = modules_scan_go_on,
	.wants_refresh = modules_are_wanted,
	.compile = tables_compile,
	.compare_maps = mapped_compare,
	.look = looks_at,
	.look_is_same = looks_is_same,
	.look_rest = looks_rest,
	.list_open = looks_list_open,
	.list_step = looks_list_step,
	.list_close = looks_list_close,
	.stills = stills_each,
	.wall = wall_go_on,
	.wall_settle = wall_settle,
	.find_threads = cpu_scan_go_on,
	.listen_for_births = cpu_ctl_listen,
	.arm_late = cpu_ctl_late,
	.meets_threads = births_are_due,
	.rest = cpu_scan_rest,
	.modules = modules_count,
	.module = modules_at,
	.find_module = modules_find,
	.frame = modules_frame,
	.dropped = count_get,
	.memory = memory,
	.tables = tables_bytes,
	.spent_ns = spent_ns,
	.get_rates = get_rates,
	.set_rates = set_rates,
	.raise_cpu_hz = cpu_ctl_raise_hz,
};
