#include "sampler/rows.h"

uint32_t rows_find(const struct rows *rows, uint64_t offset)
{
	uint32_t at = (uint32_t)offset, block, low, n;

	if (offset < rows->first || offset >= rows->limit)
		return RULES_UNDESCRIBED;
	block = (at - rows->first) >> ROWS_BLOCK_SHIFT;
	low = rows->index[block];
	n = rows->index[block + 1];
	if (n < low)
		return RULES_NONE;      /* wiped meanwhile: a fork */
	for (n = n - low + 1; n > 1;) {
		uint32_t half = n / 2;

		if (rows->row[low + half].offset <= at)
			low += half;
		n -= half;
	}
	return rules_at(rows->row[low].rule, offset);
}
