/* test/fake/made_ground.h -- a ground made to order: rows, stacks, modules, drops and rates that a
 * test writes down, behind the table of functions that the desk sees. */
#ifndef TEST_FAKE_MADE_GROUND_H
#define TEST_FAKE_MADE_GROUND_H

#include <stdlib.h>
#include <string.h>

#include "sampler/ground.h"

#define MADE_ROWS    1024
#define MADE_BLOCKS  4096
#define MADE_STACKS  64
#define MADE_MODULES 16
#define MADE_LOCKS   8
#define MADE_PAIRS   8

struct made_row {
	struct site_key key;
	uint64_t        value[SITES_VALUES];
	bool            unpublished;
};

struct made_block {
	struct heap_block block;        /* row 0: none */
	uint64_t          born_ns;
};

static struct {
	struct made_row     row[GROUND_PROFILES][MADE_ROWS];    /* [0] is unused */
	uint32_t            rows[GROUND_PROFILES];
	struct made_block   block[MADE_BLOCKS];
	uint32_t            blocks;
	uint32_t            evicts[GROUND_PROFILES];    /* this row, at the next reclaim */
	frame_t             frame[MADE_STACKS][STACK_DEPTH_MAX];
	unsigned            depth[MADE_STACKS];
	uint32_t            stacks;
	const char         *thread_name[8];
	struct module       module[MADE_MODULES];
	uint32_t            modules;
	uint64_t            lock[MADE_LOCKS];   /* addresses by id; [0] is unused */
	struct ground_lock_pair pair[MADE_PAIRS];       /* no contentions: an empty cell */
	uint64_t            dropped[COUNT_REASONS];
	struct ground_rates rates;
	unsigned            rates_set, refreshes;
	unsigned            quiet_refreshes;    /* so many come before on_refresh */
	void              (*on_refresh)(void);  /* what happens in the host until then */
} made;

static inline void made_forget(void)
{
	memset(&made, 0, sizeof(made));
}

/* --- what a test writes down ----------------------------------------------------------------- */

/* Returns the id of a stack, leaf first. */
static inline uint32_t made_stack(const frame_t *frame, unsigned depth)
{
	uint32_t id = ++made.stacks;

	if (id >= MADE_STACKS)
		abort();
	memcpy(made.frame[id], frame, depth * sizeof(*frame));
	made.depth[id] = depth;
	return id;
}

/* A new row with this key; its counters are to be written by the test. */
static inline struct made_row *made_add(enum ground_profile profile, uint32_t stack, uint32_t size,
					uint16_t thread)
{
	struct made_row *r = &made.row[profile][++made.rows[profile]];

	if (made.rows[profile] >= MADE_ROWS)
		abort();
	r->key = (struct site_key){ .stack = stack, .size = size, .thread = thread };
	return r;
}

/* A live block of the heap.  Its row counts by itself. */
static inline void made_live(uint32_t row, uint64_t size, uint64_t weight, uint64_t born_ns)
{
	struct made_block *b = &made.block[made.blocks];

	if (made.blocks++ >= MADE_BLOCKS)
		abort();
	*b = (struct made_block){ { .weight = weight, .size = size, .row = row }, born_ns };
}

/* What a row has counted goes over to [evicted], and it is nobody's. */
static inline void made_evict(enum ground_profile profile, uint32_t row)
{
	struct made_row *from = &made.row[profile][row];
	struct made_row *to = &made.row[profile][GENERATIONS_EVICTED];

	for (unsigned i = 0; i < SITES_VALUES; i++)
		to->value[i] += from->value[i];
	memset(from, 0, sizeof(*from));
	from->unpublished = true;
}

/* --- what the desk asks for ------------------------------------------------------------------ */

static inline uint32_t made_end(enum ground_profile profile)
{
	return made.rows[profile] + 1;
}

static inline uint32_t made_sites(enum ground_profile profile)
{
	return made.rows[profile];
}

static inline bool made_read(enum ground_profile profile, uint32_t row, struct site_key *key,
			     uint64_t value[SITES_VALUES])
{
	const struct made_row *r = &made.row[profile][row];

	if (row == 0 || row > made.rows[profile] || r->unpublished)
		return false;
	*key = r->key;
	memcpy(value, r->value, sizeof(r->value));
	return true;
}

static inline size_t made_live_end(void)
{
	return made.blocks;
}

static inline bool made_live_at(size_t cell, struct heap_block *block, uint64_t *born_ns)
{
	const struct made_block *b = &made.block[cell];

	*block = b->block;
	*born_ns = b->born_ns;
	return b->block.row != 0;
}

static inline unsigned made_frames(enum ground_profile profile, uint32_t stack, frame_t *frame,
				   unsigned max)
{
	unsigned n = made.depth[stack] < max ? made.depth[stack] : max;

	(void)profile;
	memcpy(frame, made.frame[stack], n * sizeof(*frame));
	return n;
}

static inline uint64_t made_lock(uint32_t id)
{
	return id < MADE_LOCKS ? made.lock[id] : 0;
}

static inline uint32_t made_lock_pairs_end(void) { return MADE_PAIRS; }

static inline bool made_lock_pair(uint32_t cell, struct ground_lock_pair *out)
{
	*out = made.pair[cell];
	return out->contentions != 0;
}

/* Goes on at once, and tells of the rows that the test has named. */
static inline uint64_t made_reclaim(enum ground_profile profile, bool reading, bool *waits,
				    void (*moved)(enum ground_profile profile, uint32_t row))
{
	*waits = reading && made.evicts[profile] != 0;
	if (made.evicts[profile] != 0 && !reading) {
		made_evict(profile, made.evicts[profile]);
		moved(profile, made.evicts[profile]);
		made.evicts[profile] = 0;
	}
	return 1000 + profile;
}

static inline const char *made_thread_name(uint16_t id)
{
	return id < 8 && made.thread_name[id] != NULL ? made.thread_name[id] : "";
}

static inline void made_refresh(void)
{
	made.refreshes++;
	if (made.on_refresh != NULL && made.refreshes > made.quiet_refreshes)
		made.on_refresh();
}

static inline bool made_wants_refresh(void) { return false; }
static inline void made_find_threads(void) {}

static inline void made_rest(bool begins)
{
	(void)begins;
}
static inline uint32_t made_modules(void) { return made.modules; }
static inline const struct module *made_module_at(uint32_t i) { return &made.module[i]; }

static inline const struct module *made_find_module(frame_t frame)
{
	for (uint32_t i = 0; i < made.modules; i++)
		if (frame_pc(frame) >= made.module[i].start &&
		    frame_pc(frame) < made.module[i].limit)
			return &made.module[i];
	return NULL;
}

static inline frame_t made_frame(uintptr_t pc) { return pc; }
static inline uint64_t made_dropped(enum count reason) { return made.dropped[reason]; }
static inline void made_get_rates(struct ground_rates *rates) { *rates = made.rates; }

static inline void made_set_rates(const struct ground_rates *rates)
{
	made.rates = *rates;
	made.rates_set++;
}

static const struct ground made_ground = {
	.end = made_end,
	.sites = made_sites,
	.read = made_read,
	.live_end = made_live_end,
	.live = made_live_at,
	.frames = made_frames,
	.lock = made_lock,
	.lock_pairs_end = made_lock_pairs_end,
	.lock_pair = made_lock_pair,
	.thread_name = made_thread_name,
	.reclaim = made_reclaim,
	.refresh = made_refresh,
	.wants_refresh = made_wants_refresh,
	.find_threads = made_find_threads,
	.rest = made_rest,
	.modules = made_modules,
	.module = made_module_at,
	.find_module = made_find_module,
	.frame = made_frame,
	.dropped = made_dropped,
	.get_rates = made_get_rates,
	.set_rates = made_set_rates,
};

#endif
