#include "sampler/lock_ids.h"

#include "sampler/levels.h"
#include "sampler/shares.h"

#define PROBES 8

static _Atomic(const void *) table[LOCK_IDS];   /* by id - 1 */
static struct shares         shares;

/* 0: it has none; with add: and there is no room. */
static uint32_t find(const void *lock, bool add)
{
	uint64_t hash = levels_hash((uintptr_t)lock);

	for (unsigned i = 0; i < PROBES; i++) {
		uint32_t at = (uint32_t)((hash + i) % LOCK_IDS);
		const void *is = atomic_load_explicit(&table[at], memory_order_relaxed);

		if (is == NULL && !add)
			return 0;
		if (is == NULL)
			atomic_compare_exchange_strong(&table[at], &is, lock);
		if (is == NULL || is == lock)
			return at + 1;
	}
	return 0;
}

uint32_t lock_ids_row(struct generations *g, uint64_t now, const struct site_key *key)
{
	const void *lock = ((const struct lock_key *)key)->lock;
	struct site_key own = *key;
	uint32_t row;

	own.size = lock != NULL ? find(lock, false) : 0;
	row = own.size != 0 ? generations_find(g, now, &own) : 0;
	if (row != 0)
		return row;
	if (lock != NULL && shares_take(&shares, LOCK_IDS_OWN, g, now, key))
		own.size = find(lock, true);
	else
		own.size = 0;
	return generations_row(g, now, &own);
}

const void *lock_ids_address(uint32_t id)
{
	return id - 1 < LOCK_IDS ? atomic_load(&table[id - 1]) : NULL;
}
