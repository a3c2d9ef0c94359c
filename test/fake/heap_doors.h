/* test/fake/heap_doors.h -- what the doors of malloc do, for blocks that are only numbers; and what
 * the heap profile counts. */
#ifndef TEST_FAKE_HEAP_DOORS_H
#define TEST_FAKE_HEAP_DOORS_H

#include <string.h>

#include "sampler/heap.h"
#include "sampler/modules.h"
#include "sampler/modules_scan.h"
#include "sampler/sample.h"
#include "sampler/threads.h"

/* As the constructor does; the heap itself comes later. */
static inline int heap_doors_begin(void)
{
	threads_init(STACK_DEPTH_DEFAULT);
	sample_init(UNWIND_AUTO);
	if (modules_scan(true) < 0)
		return -1;
	threads_enter(NULL);
	self.slot->stack_hi = modules_main_stack_hi();
	return 0;
}

/* Each on a page of its own, and so in a cell of heap.h's filter of its own. */
static inline const void *block_at(uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x7f0000000000) + 4096 * i + 16 * (i % 256));
}

/* malloc has returned p. */
static inline void door_gives(const void *p, size_t n)
{
	if (!heap_passes(n))
		heap_sample(p, n);
}

/* p goes to free. */
static inline void door_takes(const void *p)
{
	if (!heap_is_unsampled(p))
		heap_forget(p);
}

/* The calling thread follows a new rate at once, as a thread that has just been born. */
static inline void draw_anew(uint64_t rate)
{
	heap_set_rate(rate);
	self.heap_rate = 0;
	self.heap_left = 0;
	self.heap_gap_capped = false;
}

struct heap_totals { uint64_t value[SITES_VALUES]; };

/* The counters of all sites of a size class; 0: of all. */
static inline struct heap_totals heap_totals_of(uint32_t size_class)
{
	struct heap_totals t;

	memset(&t, 0, sizeof(t));
	for (uint32_t row = 1; row < sites_end(&heap_table.sites); row++) {
		uint64_t value[SITES_VALUES];
		struct site_key key;

		if (!sites_read(&heap_table.sites, row, &key, value) ||
		    (size_class != 0 && key.size != size_class))
			continue;
		for (unsigned i = 0; i < SITES_VALUES; i++)
			t.value[i] += value[i];
	}
	return t;
}

/* True if a row's counters, as they were read, are of whole blocks: no more was freed than allocated,
 * no bytes are without objects and no objects without bytes. */
static inline bool heap_whole(const uint64_t v[SITES_VALUES])
{
	bool good = true;

	for (unsigned i = 0; i < HEAP_FREE_OBJECTS; i += 2) {
		const uint64_t *given = &v[HEAP_FREE_OBJECTS + i], *all = &v[i];

		good = good && given[0] <= all[0] && given[1] <= all[1] &&
		       (all[0] == 0) == (all[1] == 0) &&
		       (all[0] == given[0]) == (all[1] == given[1]);
	}
	return good;
}

/* How much each counter has grown. */
static inline struct heap_totals heap_totals_since(const struct heap_totals *before)
{
	struct heap_totals t = heap_totals_of(0);

	for (unsigned i = 0; i < SITES_VALUES; i++)
		t.value[i] -= before->value[i];
	return t;
}

#endif
