#include "sampler/sites.h"

#include <assert.h>
#include <errno.h>

#include "sampler/os.h"

static_assert(sizeof(struct site_row) == 80, "sites_init budgets rows of 80 bytes");

static uint64_t hash_key(const struct site_key *k)
{
	uint64_t low = k->stack | (uint64_t)k->size << 32;
	uint64_t high = k->thread | (uint64_t)k->labels << 16;

	return levels_hash(low + high * UINT64_C(0x9e3779b97f4a7c15));
}

int sites_init(struct sites *s, uint64_t budget_bytes)
{
	uint32_t rows_max = (uint32_t)(budget_bytes / (sizeof(struct site_row) + 12));
	struct site_row *row = os_map(rows_max * sizeof(*row));
	int err;

	if (row == NULL)
		return -ENOMEM;
	err = levels_init(&s->index, rows_max + rows_max / 2);
	if (err < 0) {
		os_unmap(row, rows_max * sizeof(*row));
		return err;
	}
	s->row = row;
	s->rows_max = rows_max;
	s->rows = 1;
	return 0;
}

static bool is_row(const struct sites *s, uint64_t word, uint64_t hash, const struct site_key *key)
{
	const struct site_key *k = &s->row[(uint32_t)word].key;

	return (word >> 32) == (hash & 0xffffffffu) && k->stack == key->stack &&
	       k->size == key->size && k->thread == key->thread && k->labels == key->labels;
}

static uint32_t new_row(struct sites *s, const struct site_key *key)
{
	uint32_t id = atomic_load_explicit(&s->rows, memory_order_relaxed);

	do {
		if (id >= s->rows_max)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(&s->rows, &id, id + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	s->row[id].key = *key;
	return id;
}

/* As in stacks.c: of two threads that add the same key at once, the second uses the first's row.
 * Its own stays unpublished: ready is set by whoever has put the row's word into the index. */
uint32_t sites_row(struct sites *s, const struct site_key *key)
{
	uint64_t hash = hash_key(key);
	uint32_t mine = 0;

	for (unsigned level = 0; s->row != NULL && level < s->index.count; level++) {
		_Atomic(uint64_t) *bucket = &s->index.words[levels_bucket(&s->index, hash, level)];

		for (unsigned i = 0; i < LEVELS_BUCKET; i++) {
			uint64_t word = atomic_load_explicit(&bucket[i], memory_order_acquire);

			if (word == 0) {
				if (mine == 0 && (mine = new_row(s, key)) == 0)
					return 0;
				if (atomic_compare_exchange_strong_explicit(
					    &bucket[i], &word, hash << 32 | mine,
					    memory_order_acq_rel, memory_order_acquire)) {
					__atomic_store_n(&s->row[mine].ready, 1, __ATOMIC_RELEASE);
					return mine;
				}
			}
			if (is_row(s, word, hash, key))
				return (uint32_t)word;
		}
	}
	return 0;
}

uint32_t sites_end(const struct sites *s)
{
	uint32_t end = atomic_load_explicit(&s->rows, memory_order_acquire);

	return s->row == NULL ? 1 : end < s->rows_max ? end : s->rows_max;
}

bool sites_read(const struct sites *s, uint32_t row, struct site_key *key,
		uint64_t value[SITES_VALUES])
{
	struct site_row *r = &s->row[row];

	if (__atomic_load_n(&r->ready, __ATOMIC_ACQUIRE) == 0)
		return false;
	*key = r->key;
	/* Last first: the heap's frees (high numbers) are read before its allocations, so that a
	 * reading never shows more freed than allocated. */
	for (unsigned i = SITES_VALUES; i-- > 0;)
		value[i] = atomic_load_explicit(&r->value[i], memory_order_acquire);
	return true;
}
