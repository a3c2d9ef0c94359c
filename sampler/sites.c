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

static bool is_row(const void *table, uint32_t id, const void *key)
{
	const struct site_key *is = &((const struct sites *)table)->row[id].key, *k = key;

	return is->stack == k->stack && is->size == k->size && is->thread == k->thread &&
	       is->labels == k->labels;
}

static uint32_t make_row(void *table, const void *key)
{
	struct sites *s = table;
	uint32_t id = levels_next_id(&s->rows, s->rows_max);

	if (id != 0)
		s->row[id].key = *(const struct site_key *)key;
	return id;
}

uint32_t sites_row(struct sites *s, const struct site_key *key)
{
	static const struct levels_table rows = { is_row, make_row };
	bool mine;
	uint32_t row = levels_intern(&s->index, hash_key(key), &rows, s, key, &mine);

	/* A row left over by a race stays unready: nobody counts in it. */
	if (mine)
		__atomic_store_n(&s->row[row].ready, 1, __ATOMIC_RELEASE);
	return row;
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
