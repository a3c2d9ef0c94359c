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
#define MADE_THREADS 8

struct made_row {
	struct site_key key;
	uint64_t        value[SITES_VALUES];
	bool            unpublished;
};

struct made_block {
	struct heap_block block;        /* row 0: none */
	uint64_t          born_ns;
};

struct made_thread {
	struct look         look;       /* tid 0: the list ends here */
	uintptr_t           pc[8];      /* look.depth of them */
	unsigned            silent;     /* so many looks find it so before */
	struct still        still;      /* tid 0: no scan has seen it */
	struct thread_birth birth;      /* creator 0: it came without a door */
	bool                gone;       /* listed, and not there any more */
	bool                moved;      /* since it was looked at */
};

static struct {
	struct made_thread  thread[MADE_THREADS];
	unsigned            looks, rests;
	int                 lists_open;
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
	struct lock_pair pair[MADE_PAIRS];       /* no contentions: an empty cell */
	uint64_t            dropped[COUNT_REASONS];
	uint64_t            spent_ns[2];        /* in doors, in ticks */
	struct ground_rates rates;
	unsigned            rates_set, refreshes;
	unsigned            raised_hz, raises;
	unsigned            wall_hz, settles;
	unsigned            scans, scans_wanted;        /* for threads, until all are counted */
	void              (*on_scan)(unsigned scan);
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

static inline bool made_lock_pair(uint32_t cell, struct lock_pair *out)
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

static inline bool made_refresh(uint64_t *ticket)
{
	(void)ticket;
	made.refreshes++;
	if (made.on_refresh != NULL && made.refreshes > made.quiet_refreshes)
		made.on_refresh();
	return false;
}

static inline enum look_how made_look(int tid, struct look *out, uintptr_t *pc, unsigned max)
{
	made.looks++;
	for (unsigned i = 0; i < MADE_THREADS; i++) {
		struct made_thread *t = &made.thread[i];

		if (t->look.tid != tid || t->gone)
			continue;
		*out = t->look;
		if (t->silent > 0) {
			t->silent--;
			out->how = LOOK_SILENT;
			out->depth = 0;
		}
		for (unsigned k = 0; k < out->depth && k < max; k++)
			pc[k] = t->pc[k];
		return out->how;
	}
	*out = (struct look){ .tid = tid, .how = LOOK_GONE };
	return LOOK_GONE;
}

static inline bool made_look_is_same(const struct look *before)
{
	for (unsigned i = 0; i < MADE_THREADS; i++)
		if (made.thread[i].look.tid == before->tid)
			return !made.thread[i].moved;
	return false;
}

static inline void made_look_rest(void) { made.rests++; }

static inline int made_list_open(struct looks_list *l)
{
	l->at = 0;
	made.lists_open++;
	return 0;
}

/* One by one, so that the asker goes on. */
static inline long made_list_step(struct looks_list *l, int *tid, long max)
{
	if (l->at >= MADE_THREADS || made.thread[l->at].look.tid == 0 || max < 1)
		return 0;
	*tid = made.thread[l->at++].look.tid;
	return 1;
}

static inline void made_list_close(struct looks_list *l)
{
	(void)l;
	made.lists_open--;
}

static inline void made_stills(void (*f)(void *with, const struct still *still), void *with)
{
	for (unsigned i = 0; i < MADE_THREADS; i++)
		if (made.thread[i].still.tid != 0)
			f(with, &made.thread[i].still);
}

static inline bool made_birth(int tid, struct thread_birth *out)
{
	for (unsigned i = 0; i < MADE_THREADS; i++)
		if (made.thread[i].look.tid == tid && made.thread[i].birth.creator != 0) {
			*out = made.thread[i].birth;
			return true;
		}
	return false;
}

static inline bool made_wants_refresh(void) { return false; }
static inline bool made_compile(void) { return false; }

static inline uint64_t made_compare_maps(uint64_t *ticket)
{
	(void)ticket;
	return 0;
}

static inline void made_listen_for_births(void (*ring)(void))
{
	(void)ring;
}

static inline uint64_t made_arm_late(void) { return UINT64_MAX; }

static inline bool made_find_threads(uint64_t *ticket)
{
	(void)ticket;
	made.scans++;
	if (made.on_scan != NULL)
		made.on_scan(made.scans);
	return false;
}

static inline bool made_meets_threads(void) { return made.scans < made.scans_wanted; }

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

static inline void made_raise_cpu_hz(unsigned hz)
{
	made.raised_hz = hz;
	made.raises++;
}

static inline void made_memory(enum ground_profile profile, struct ground_memory *out)
{
	*out = (struct ground_memory){ 1000000, 1000 + (uint64_t)profile };
}

static inline size_t made_tables(void)
{
	return 7654321;
}

static inline uint64_t made_spent_ns(bool ticks)
{
	return made.spent_ns[ticks];
}

static inline uint64_t made_wall(unsigned hz)
{
	made.wall_hz = hz;
	return hz != 0 ? 1000 : UINT64_MAX;
}

/* In two steps. */
static inline bool made_wall_settle(uint32_t *next)
{
	made.settles++;
	return (*next)++ != 0;
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
	.compile = made_compile,
	.compare_maps = made_compare_maps,
	.listen_for_births = made_listen_for_births,
	.arm_late = made_arm_late,
	.look = made_look,
	.look_is_same = made_look_is_same,
	.look_rest = made_look_rest,
	.list_open = made_list_open,
	.list_step = made_list_step,
	.list_close = made_list_close,
	.stills = made_stills,
	.birth = made_birth,
	.find_threads = made_find_threads,
	.meets_threads = made_meets_threads,
	.rest = made_rest,
	.modules = made_modules,
	.module = made_module_at,
	.find_module = made_find_module,
	.frame = made_frame,
	.dropped = made_dropped,
	.memory = made_memory,
	.tables = made_tables,
	.spent_ns = made_spent_ns,
	.get_rates = made_get_rates,
	.set_rates = made_set_rates,
	.raise_cpu_hz = made_raise_cpu_hz,
	.wall = made_wall,
	.wall_settle = made_wall_settle,
};

#endif
