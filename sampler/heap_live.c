/* A word of the index is 0, an address, or an address with bit 0 set while its entry is being
 * written or taken out by one thread.  The entry of word i is entry[i]. */
#include "sampler/heap_live.h"

#include <errno.h>

#include "sampler/levels.h"
#include "sampler/os.h"

#define BUSY 1u

_Atomic uint8_t heap_filter[1u << HEAP_FILTER_BITS];

/* Cells of the second filter. */
#define SIEVE_MAX (1u << 16)

struct heap_sieve heap_sieve;

static struct {
	struct levels       index;
	struct heap_block  *entry;              /* the sieve's cells behind them */
	_Atomic unsigned    levels_used;        /* none beyond was ever written to */
} live;

static uint32_t sieve_cells(const struct levels *index)
{
	return levels_words(index) < SIEVE_MAX ? (uint32_t)levels_words(index) : SIEVE_MAX;
}

static size_t entry_bytes(const struct levels *index)
{
	return levels_words(index) * sizeof(*live.entry) + sieve_cells(index);
}

int heap_live_init(uint64_t budget_bytes)
{
	struct levels index;
	struct heap_block *entry;
	size_t block_bytes = 8 + sizeof(*entry) + sizeof(*heap_sieve.cell);
	int err = levels_init(&index, budget_bytes / block_bytes);

	if (err < 0)
		return err;
	entry = os_map_wiped(entry_bytes(&index));
	if (entry == NULL) {
		levels_free(&index);
		return -ENOMEM;
	}
	live.index = index;
	live.entry = entry;
	heap_sieve.cell = (_Atomic uint8_t *)(entry + levels_words(&index));
	/* Other threads may be freeing already. */
	__atomic_store_n(&heap_sieve.cells, sieve_cells(&index), __ATOMIC_RELEASE);
	return 0;
}

void heap_live_free(void)
{
	os_unmap(live.entry, entry_bytes(&live.index));
	live.entry = NULL;
	heap_sieve = (struct heap_sieve){ 0 };
	levels_free(&live.index);
}

void heap_live_clear(void)
{
	if (live.entry == NULL)
		return;
	levels_clear(&live.index);
	os_clear(live.entry, entry_bytes(&live.index));
	live.levels_used = 0;
}

/* --- what stands in front of the table -------------------------------------------------------- */

static void cell_add(_Atomic uint8_t *cell)
{
	uint8_t n = atomic_load_explicit(cell, memory_order_relaxed);

	while (n != UINT8_MAX && !atomic_compare_exchange_weak(cell, &n, n + 1))
		continue;
}

static void cell_remove(_Atomic uint8_t *cell)
{
	uint8_t n = atomic_load_explicit(cell, memory_order_relaxed);

	while (n != UINT8_MAX && n != 0 && !atomic_compare_exchange_weak(cell, &n, n - 1))
		continue;
}

static void filters_add(const void *p)
{
	cell_add(&heap_filter[heap_cell(p)]);
	cell_add(&heap_sieve.cell[heap_sieve_at(p)]);
}

static void filters_remove(const void *p)
{
	cell_remove(&heap_filter[heap_cell(p)]);
	cell_remove(&heap_sieve.cell[heap_sieve_at(p)]);
}

/* --- the table -------------------------------------------------------------------------------- */

/* The first word of a level's buckets for this hash that is `from`, made `to`; or -1. */
static HOT long swap_on(unsigned level, uint64_t hash, uint64_t from, uint64_t to)
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
static HOT long claim(uint64_t address, uint64_t hash)
{
	unsigned levels = atomic_load_explicit(&live.levels_used, memory_order_acquire);
	long i = -1;

	for (unsigned level = 0; i < 0 && level < levels; level++)
		i = swap_on(level, hash, address, address | BUSY);
	return i;
}

/* A free word, marked busy for this address; or -1. */
static HOT long claim_free(uint64_t address, uint64_t hash)
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

/* Release, because heap_live_at may be reading: who sees one of these also sees the busy word. */
static void write_entry(struct heap_block *entry, const struct heap_block *b)
{
	__atomic_store_n(&entry->weight, b->weight, __ATOMIC_RELEASE);
	__atomic_store_n(&entry->size, b->size, __ATOMIC_RELEASE);
	__atomic_store_n(&entry->row, b->row, __ATOMIC_RELEASE);
	__atomic_store_n(&entry->birth_s, b->birth_s, __ATOMIC_RELEASE);
}

HOT enum heap_live_result heap_live_put(const void *p, const struct heap_block *b,
				    struct heap_block *stale)
{
	uint64_t address = (uintptr_t)p, hash = levels_hash(address);
	enum heap_live_result result = HEAP_LIVE_REPLACED;
	/* Mostly it cannot be here already: then nobody looks at all the words where it might. */
	long i = heap_live_has_not(p) ? -1 : claim(address, hash);

	if (i >= 0)
		*stale = live.entry[i];
	else {
		result = HEAP_LIVE_PUT;
		if (live.entry == NULL || (i = claim_free(address, hash)) < 0)
			return HEAP_LIVE_FULL;
		filters_add(p);
	}
	write_entry(&live.entry[i], b);
	atomic_store_explicit(&live.index.words[i], address, memory_order_release);
	return result;
}

HOT bool heap_live_take(const void *p, struct heap_block *out)
{
	uint64_t address = (uintptr_t)p, hash = levels_hash(address);
	long i;

	if (live.entry == NULL || p == NULL)
		return false;
	i = claim(address, hash);
	if (i < 0)
		return false;
	*out = live.entry[i];
	atomic_store_explicit(&live.index.words[i], 0, memory_order_release);
	filters_remove(p);
	return true;
}

/* --- all of them ----------------------------------------------------------------------------- */

static void read_entry(const struct heap_block *entry, struct heap_block *out)
{
	out->weight = __atomic_load_n(&entry->weight, __ATOMIC_ACQUIRE);
	out->size = __atomic_load_n(&entry->size, __ATOMIC_ACQUIRE);
	out->row = __atomic_load_n(&entry->row, __ATOMIC_ACQUIRE);
	out->birth_s = __atomic_load_n(&entry->birth_s, __ATOMIC_ACQUIRE);
}

size_t heap_live_end(void)
{
	unsigned levels = atomic_load_explicit(&live.levels_used, memory_order_acquire);

	return levels == 0 ? 0 : (live.index.before[levels - 1] + live.index.buckets[levels - 1]) *
					 LEVELS_BUCKET;
}

/* The word says the same before and after.  Twice, because it would also if the address was taken
 * and put again in between. */
bool heap_live_at(size_t i, struct heap_block *out)
{
	uint64_t is = atomic_load_explicit(&live.index.words[i], memory_order_acquire);
	struct heap_block again;

	if (is == 0 || (is & BUSY) != 0)
		return false;
	read_entry(&live.entry[i], out);
	if (atomic_load_explicit(&live.index.words[i], memory_order_acquire) != is)
		return false;
	read_entry(&live.entry[i], &again);
	return out->weight == again.weight && out->size == again.size && out->row == again.row &&
	       out->birth_s == again.birth_s;
}
