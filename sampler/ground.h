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

#include "sampler/births.h"
#include "sampler/count.h"
#include "sampler/cpu.h"
#include "sampler/heap.h"
#include "sampler/locks.h"
#include "sampler/looks.h"
#include "sampler/mapped.h"
#include "sampler/modules.h"
#include "sampler/generations.h"
#include "sampler/wall.h"
#include "sampler/stills.h"

enum ground_profile {
	GROUND_CPU, GROUND_HEAP, GROUND_MAPPED, GROUND_BLOCK, GROUND_MUTEX, GROUND_CREATE,
	GROUND_WALL, GROUND_PROFILES
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

/* Of a profile's rows and stacks. */
struct ground_memory {
	uint64_t budget, used;  /* bytes */
};

struct ground {
	/* One more than the last row of a profile; rows start at 1. */
	uint32_t (*end)(enum ground_profile profile);
	/* How many sites are counted on; GROUND_CREATE: how many threads live. */
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
	/* Who waited for whom, each in a cell below lock_pairs_end: rows of GROUND_BLOCK and
	 * GROUND_MUTEX.  False: there is none. */
	uint32_t (*lock_pairs_end)(void);
	bool (*lock_pair)(uint32_t cell, struct lock_pair *out);
	const char *(*thread_name)(uint16_t id);
	/* Who made this thread; stack is of GROUND_CREATE.  False: it came without a door. */
	bool (*birth)(int tid, struct thread_birth *out);
	/* Goes on with giving memory back (reclaim.h).  reading: not now; *waits is true if that
	 * held it up.  moved is told of rows whose counters are now in GENERATIONS_EVICTED.
	 * Returns when (os_monotonic_ns) to call it again. */
	uint64_t (*reclaim)(enum ground_profile profile, bool reading, bool *waits,
			    void (*moved)(enum ground_profile profile, uint32_t row));

	/* Look what is mapped now: before names are asked for, or when something new was met.  In
	 * steps: *ticket is 0 at first; false: done (chores.h). */
	bool (*refresh)(uint64_t *ticket);
	bool (*wants_refresh)(void);
	/* Compiles unwind tables that samples asked for, for about a millisecond.  True: there is
	 * more to do. */
	bool (*compile)(void);
	/* Counts what is mapped and no door saw (mapped_compare): before its profile is read. */
	uint64_t (*compare_maps)(uint64_t *ticket);
	/* What the threads do now: looks.h. */
	enum look_how (*look)(int tid, struct look *out, uintptr_t *pc, unsigned max);
	bool (*look_is_same)(const struct look *before);
	void (*look_rest)(void);
	int (*list_open)(struct looks_list *l);
	long (*list_step)(struct looks_list *l, int *tid, long max);
	void (*list_close)(struct looks_list *l);
	/* Since when each thread has not run, as the last scan has found: stills.h. */
	void (*stills)(void (*f)(void *with, const struct still *still), void *with);
	/* The wall-clock profile (wall_go_on, wall_settle): goes on, and before it is read. */
	uint64_t (*wall)(unsigned hz);
	bool (*wall_settle)(uint32_t *next);
	/* Look for threads that came without a door, and for those that left without one.  In
	 * steps, as refresh. */
	bool (*find_threads)(uint64_t *ticket);
	/* True if a thread was found by that and not counted yet (GROUND_CREATE). */
	bool (*meets_threads)(void);
	/* Threads that were born a moment ago get their timers (cpu_ctl_listen, cpu_ctl_late). */
	void (*listen_for_births)(void (*ring)(void));
	uint64_t (*arm_late)(void);
	/* Our thread is about to wait, or has done so. */
	void (*rest)(bool begins);
	uint32_t (*modules)(void);
	const struct module *(*module)(uint32_t i);
	const struct module *(*find_module)(frame_t frame);
	/* An address as a frame of now. */
	frame_t (*frame)(uintptr_t pc);

	uint64_t (*dropped)(enum count reason);
	void (*memory)(enum ground_profile profile, struct ground_memory *out);
	/* Of unwind tables. */
	size_t (*tables)(void);
	/* CPU time that samples have cost the host's threads, in ticks or in doors (spent.h). */
	uint64_t (*spent_ns)(bool ticks);
	void (*get_rates)(struct ground_rates *rates);
	void (*set_rates)(const struct ground_rates *rates);
	/* While windows ask for more than cpu_hz (cpu_ctl_raise_hz); 0 none does. */
	void (*raise_cpu_hz)(unsigned hz);
};

extern const struct ground ground_table;

#endif
