/* sampler/ground.h -- the whole interface between our thread and the ground: one table of
 * functions, and what a unit test fakes.
 *
 * Context   our thread only; every function returns at once.  Counters only grow: a reading is the
 *           state of now, a profile of a window the difference of two; but the counters of rows
 *           that nobody needs go over to another one, between two readings (reclaim). */
#ifndef SAMPLER_GROUND_H
#define SAMPLER_GROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/heap.h"
#include "sampler/locks.h"
#include "sampler/mapped.h"
#include "sampler/modules.h"
#include "sampler/generations.h"

enum ground_profile {
	GROUND_CPU, GROUND_HEAP, GROUND_MAPPED, GROUND_BLOCK, GROUND_MUTEX, GROUND_PROFILES
};

/* Bounds of the rates: the same for the options and for POST /debug/pprof/config. */
#define GROUND_CPU_HZ_MAX    1000
#define GROUND_HEAP_RATE_MAX (1ull << 40)
#define GROUND_BLOCK_RATE_MAX     (3600 * 1000000000ull)
#define GROUND_MUTEX_FRACTION_MAX 1000000

struct ground_rates {
	uint64_t cpu_hz;        /* samples per second of CPU time, 0 off */
	uint64_t heap_rate;     /* mean bytes between samples, 1 all, 0 off */
	uint64_t block_rate;    /* mean ns of waiting between samples, 1 all, 0 off */
	uint64_t mutex_fraction;        /* one in so many releases that made others wait, 0 off */
};

/* Waits on one site while somebody on another had the lock.  Rows of GROUND_BLOCK and GROUND_MUTEX;
 * 0: evicted, or not known.  contentions as LOCKS_CONTENTIONS. */
struct ground_lock_pair {
	uint32_t waiter, holder;
	uint64_t contentions, delay_ns;
};

struct ground {
	/* One more than the last row of a profile; rows start at 1. */
	uint32_t (*end)(enum ground_profile profile);
	/* How many sites are counted on. */
	uint32_t (*sites)(enum ground_profile profile);
	/* A row's key and counters (cpu.h, heap.h).  False: there is none (yet). */
	bool (*read)(enum ground_profile profile, uint32_t row, struct site_key *key,
		     uint64_t value[SITES_VALUES]);
	/* The live sampled blocks of the heap, each in a cell below live_end; born is the latest
	 * time (os_monotonic_ns) at which it can have been allocated.  False: there is none. */
	size_t (*live_end)(void);
	bool (*live)(size_t cell, struct heap_block *block, uint64_t *born_ns);
	/* The frames of a row's stack, leaf first; at most max.  Returns how many. */
	unsigned (*frames)(enum ground_profile profile, uint32_t stack, frame_t *frame,
			   unsigned max);
	/* The address behind the lock id of a key (its size, in GROUND_BLOCK and GROUND_MUTEX); 0
	 * unknown. */
	uint64_t (*lock)(uint32_t id);
	/* Who waited for whom, each in a cell below lock_pairs_end.  False: there is none. */
	uint32_t (*lock_pairs_end)(void);
	bool (*lock_pair)(uint32_t cell, struct ground_lock_pair *out);
	const char *(*thread_name)(uint16_t id);
	/* Goes on with giving memory back (reclaim.h).  reading: not now; *waits is true if that
	 * held it up.  moved is told of rows whose counters are now in GENERATIONS_EVICTED.
	 * Returns when (os_monotonic_ns) to call it again. */
	uint64_t (*reclaim)(enum ground_profile profile, bool reading, bool *waits,
			    void (*moved)(enum ground_profile profile, uint32_t row));

	/* Look what is mapped now: before names are asked for, or when something new was met. */
	void (*refresh)(void);
	bool (*wants_refresh)(void);
	/* Compiles unwind tables that samples asked for, for about a millisecond.  True: there is
	 * more to do. */
	bool (*compile)(void);
	/* Counts what is mapped and no door saw (mapped_compare): before its profile is read. */
	uint64_t (*compare_maps)(uint64_t *ticket);
	/* Look for threads that came without a door, and for those that left without one. */
	void (*find_threads)(void);
	/* Our thread is about to wait, or has done so. */
	void (*rest)(bool begins);
	uint32_t (*modules)(void);
	const struct module *(*module)(uint32_t i);
	const struct module *(*find_module)(frame_t frame);
	/* An address as a frame of now. */
	frame_t (*frame)(uintptr_t pc);

	uint64_t (*dropped)(enum count reason);
	void (*get_rates)(struct ground_rates *rates);
	void (*set_rates)(const struct ground_rates *rates);
};

extern const struct ground ground_table;

#endif
