#include "sampler/heap_sizes.h"

#include <assert.h>

#define CELLS_BITS 15
#define COUNT_BITS 3            /* the rest of a cell: which generation it is of */
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

static_assert(HEAP_SIZES_OWN <= COUNT_MASK, "a cell counts so far");

static _Atomic uint8_t cells[1u << CELLS_BITS];

uint32_t heap_sizes_class(uint32_t size)
{
	uint32_t step;

	if (size <= 16)
		return 16;
	if (size > UINT32_MAX / 2)
		return UINT32_MAX;
	step = UINT32_C(1) << (29 - __builtin_clz(size - 1));
	return (size + step - 1) / step * step;
}

/* True if the stack has less than its share of rows: this is one more. */
static bool take_own(const struct generations *g, uint64_t now, const struct site_key *key)
{
	struct site_key any = *key;
	_Atomic uint8_t *cell;
	uint8_t is, next, stamp = (uint8_t)(generations_number(now) << COUNT_BITS);

	any.size = 0;
	cell = &cells[generations_hash(g, &any) >> (64 - CELLS_BITS)];
	is = atomic_load_explicit(cell, memory_order_relaxed);
	do {
		if ((is & ~COUNT_MASK) != stamp)
			next = stamp + 1;
		else if ((is & COUNT_MASK) < HEAP_SIZES_OWN)
			next = is + 1;
		else
			return false;
	} while (!atomic_compare_exchange_weak_explicit(cell, &is, next, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

uint32_t heap_sizes_row(struct generations *g, uint64_t now, const struct site_key *key)
{
	struct site_key shared = *key;
	uint32_t row = generations_find(g, now, key);

	if (row != 0)
		return row;
	if (!take_own(g, now, key))
		shared.size = heap_sizes_class(key->size);
	return generations_row(g, now, &shared);
}
