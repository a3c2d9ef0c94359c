#include "sampler/compiler.h"
#include "sampler/shares.h"

#include <assert.h>

/* The rest of a cell is which generation it is of. */
#define COUNT_BITS 3
#define COUNT_MASK ((1u << COUNT_BITS) - 1)
static_assert(SHARES_MAX <= COUNT_MASK, "a cell counts so far");

HOT bool shares_take(struct shares *s, unsigned max, const struct generations *g, uint64_t now,
		 const struct site_key *key)
{
	struct site_key any = *key;
	_Atomic uint8_t *cell;
	uint8_t is, next, stamp = (uint8_t)(generations_number(now) << COUNT_BITS);

	any.size = 0;
	cell = &s->cell[generations_hash(g, &any) >> (64 - SHARES_CELLS_BITS)];
	is = atomic_load_explicit(cell, memory_order_relaxed);
	do {
		if ((is & ~COUNT_MASK) != stamp)
			next = stamp + 1;
		else if ((is & COUNT_MASK) < max)
			next = is + 1;
		else
			return false;
	} while (!atomic_compare_exchange_weak_explicit(cell, &is, next, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}
