#include "sampler/ranges.h"

#include <stdatomic.h>

#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/limits.h"

#define TRIES 3         /* of a reader whom two scans in a row overtook: then it finds nothing */

struct table {
	uint32_t     count;
	struct range range[MODULES_LIVE_MAX];
};

static struct {
	_Atomic uint32_t version;       /* table[version & 1] is the one to read */
	struct table     table[2];
} live;

HOT uint32_t ranges_version(void)
{
	return atomic_load_explicit(&live.version, memory_order_acquire);
}

void ranges_begin(void)
{
	/* Not before the version that ended the use of this table. */
	atomic_thread_fence(memory_order_seq_cst);
	live.table[(live.version + 1) & 1].count = 0;
}

void ranges_insert(const struct range *range)
{
	uint32_t table = (live.version + 1) & 1, at = live.table[table].count;
	struct range *r = live.table[table].range;

	if (at == MODULES_LIVE_MAX) {
		count_add(COUNT_MODULE_NO_ROW);
		return;
	}
	for (; at > 0 && r[at - 1].start > range->start; at--)
		r[at] = r[at - 1];
	r[at] = *range;
	live.table[table].count++;
}

void ranges_publish(void)
{
	atomic_store_explicit(&live.version, live.version + 1, memory_order_release);
}

static bool search(uint32_t version, uintptr_t pc, struct range *out)
{
	const struct range *r = live.table[version & 1].range;
	uint32_t low = 0, high = live.table[version & 1].count;

	if (high > MODULES_LIVE_MAX)
		return false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pc < r[middle].start)
			high = middle;
		else if (pc >= r[middle].limit)
			low = middle + 1;
		else {
			*out = r[middle];
			return true;
		}
	}
	return false;
}

HOT bool ranges_find(uintptr_t pc, struct range *out)
{
	for (int tries = 0; tries < TRIES; tries++) {
		uint32_t version = atomic_load_explicit(&live.version, memory_order_acquire);
		bool found = search(version, pc, out);

		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&live.version, memory_order_relaxed) == version)
			return found;
	}
	return false;
}
