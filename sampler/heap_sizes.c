#include "sampler/heap_sizes.h"

#include "sampler/shares.h"

static struct shares shares;

HOT uint32_t heap_sizes_class(uint32_t size)
{
	uint32_t step;

	if (size <= 16)
		return 16;
	if (size > UINT32_MAX / 2)
		return UINT32_MAX;
	step = UINT32_C(1) << (29 - __builtin_clz(size - 1));
	return (size + step - 1) / step * step;
}

HOT uint32_t heap_sizes_row(struct generations *g, uint64_t now, const struct site_key *key)
{
	struct site_key shared = *key;
	uint32_t row;

	shared.size = heap_sizes_class(key->size);
	generations_look_ahead(g, now, &shared);
	row = generations_find(g, now, key);
	if (row != 0)
		return row;
	return generations_row(g, now,
			       shares_take(&shares, HEAP_SIZES_OWN, g, now, key) ? key : &shared);
}
