/* A word of the index is 0, an address, or an address with bit 0 set while its entry is being
 * written or taken out by one thread.  The entry of word i is entry[i]. */
#include "sampler/heap_live.h"

#include <errno.h>

#include "sampler/levels.h"
#include "sampler/os.h"

#define BUSY 1u

_Atomic uint8_t heap_filter[1u << HEAP_FILTER_BITS];

static struct {
	struct levels       index;
	struct heap_block  *entry;
	_Atomic unsigned    levels_used;        /* none beyond was ever written to */
} live;

int heap_live_init(uint64_t budget_bytes)
{
	struct levels index;
	struct heap_block *entry;
	int err = levels_init(&index, budget_bytes / (8 + sizeof(struct heap_block)));

	if (err < 0)
		return err;
	entry = os_map_wiped(levels_words(&index) * sizeof(*entry));
	if (entry == NULL) {
		levels_free(&index);
		return -ENOMEM;
	}
	live.index = index;
	live.entry = entry;
	return 0;
}

void heap_live_free(void)
{
	os_unmap(live.entry, levels_words(&live.index) * sizeof(*live.entry));
	live.entry = NULL;
	levels_free(&live.index);
}

void heap_live_clear(void)
{
	if (live.entry == NULL)
		return;
	levels_clear(&live.index);
	os_clear(live.entry, levels_words(&live.index) * sizeof(*live.entry));
	live.levels_used = 0;
}

static void filter_add(const void *p)
{
	_Atomic uint8_t *cell = &heap_filter[heap_cell(p)];
	uint8_t n = atomic_load_explicit(cell, memory_order_relaxed);

	while (n != UINT8_MAX && !atomic_compare_exchange_weak(cell, &n, n + 1))
		continue;
}

static void filter_remove(const void *p)
{
	_Atomic uint8_t *cell = &heap_filter[heap_cell(p)];
	uint8_t n = atomic_load_explicit(cell, memory_order_relaxed);

	while (n != UINT8_MAX && n != 0 && !atomic_compare_exchange_weak(cell, &n, n - 1))
		continue;
}

/* The first word of a level's buckets for this hash that is `from`, made `to`; or -1. */
static long swap_on(unsigned level, uint64_t hash, uint64_t from, uint64_t to)
{
	for (unsigned choice = 0; choice < LEVELS_CHOICES; choice++) {
		size_t at = levels_bucket(&live.index, hash, level, choice);

		for (size_t i = at; i < at + LEVELS_BUCKET; i++) {
			_Atomic(uint64_t) *word = &live.index.words[i];
			uint64_t is = from;

			if (atomic_load_explicit(word, memory_order_relaxed) == from &&
			    atomic_compare_exchange_strong(word, &is, to))
				return (long)i;
		}
	}
	return -1;
}

/* Where p's address stands, marked busy by us; or -1. */
static long claim(uint64_t address, uint64_t hash)
{
	unsigned levels = atomic_load_explicit(&live.levels_used, memory_order_acquire);
	long i = -1;

	for (unsigned level = 0; i < 0 && level < levels; level++)
		i = swap_on(level, hash, address, address | BUSY);
	return i;
}

/* A free word, marked busy for this address; or -1. */
static long claim_free(uint64_t address, uint64_t hash)
{
	long i = -1;

	for (unsigned level = 0; i < 0 && level < live.index.count; level++) {
		unsigned used = atomic_load(&live.levels_used);

		while (used <= level &&
		       !atomic_compare_exchange_weak(&live.levels_used, &used, level + 1))
			continue;
		i = swap_on(level, hash, 0, address | BUSY);
	}
	return i;
}

enum heap_live_result heap_live_put(const void *p, const struct heap_block *b,
				    struct heap_block *stale)
{
	uint64_t address = (uintptr_t)p, hash = levels_hash(address);
	enum heap_live_result result = HEAP_LIVE_REPLACED;
	long i = live.entry != NULL ? claim(address, hash) : -1;

	if (i >= 0)
		*stale = live.entry[i];
	else {
		result = HEAP_LIVE_PUT;
		if (live.entry == NULL || (i = claim_free(address, hash)) < 0)
			return HEAP_LIVE_FULL;
		filter_add(p);
	}
	live.entry[i] = *b;
	atomic_store_explicit(&live.index.words[i], address, memory_order_release);
	return result;
}

bool heap_live_take(const void *p, struct heap_block *out)
{
	uint64_t address = (uintptr_t)p;
	long i = live.entry != NULL && p != NULL ? claim(address, levels_hash(address)) : -1;

	if (i < 0)
		return false;
	*out = live.entry[i];
	atomic_store_explicit(&live.index.words[i], 0, memory_order_release);
	filter_remove(p);
	return true;
}
