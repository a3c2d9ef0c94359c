#include "sampler/rows.h"

HOT uint32_t rows_find(const struct rows *rows, uint64_t offset)
{
	const uint32_t *block = rows_block(rows, offset);
	uint32_t at = (uint32_t)offset, low, n;

	if (block == NULL)
		return RULES_UNDESCRIBED;
	low = block[0];
	n = block[1];
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
