#include "sampler/ground.h"

#include "sampler/cpu_ctl.h"
#include "sampler/heap_live.h"
#include "sampler/lock_ids.h"
#include "sampler/lock_pairs.h"
#include "sampler/reclaim.h"
#include "sampler/cpu_scan.h"
#include "sampler/tables.h"
#include "sampler/thread_names.h"

static struct generations *const table[GROUND_PROFILES] = {
	&cpu_table, &heap_table, &mapped_table, &locks_block_table, &locks_mutex_table,
};

static uint32_t end(enum ground_profile profile)
{
	return sites_end(&table[profile]->sites);
}

static uint32_t count_sites(enum ground_profile profile)
{
	return generations_sites(table[profile]);
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

static bool lock_pair(uint32_t cell, struct ground_lock_pair *out)
{
	struct lock_pair p;

	if (!lock_pairs_at(cell, &locks_block_table, &locks_mutex_table, &p))
		return false;
	*out = (struct ground_lock_pair){ p.waiter, p.holder, p.contentions, p.delay_ns };
	return true;
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

static void refresh(void)
{
	(void)!modules_scan(false);     /* a failed one leaves what was known */
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
	.reclaim = reclaim,
	.refresh = refresh,
	.wants_refresh = modules_are_wanted,
	.compile = tables_compile,
	.compare_maps = mapped_compare,
	.find_threads = cpu_scan,
	.rest = cpu_scan_rest,
	.modules = modules_count,
	.module = modules_at,
	.find_module = modules_find,
	.frame = modules_frame,
	.dropped = count_get,
	.get_rates = get_rates,
	.set_rates = set_rates,
};
