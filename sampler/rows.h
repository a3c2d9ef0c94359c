/* sampler/rows.h -- the unwind tables of one object, compiled: sorted rows of 8 bytes.
 *
 * A row holds from its address to the next row's.  Addresses are offsets from the object's image,
 * so the rows are good wherever it is loaded.  An index says, for each 512 bytes of code, where its
 * rows are: a search takes two to five steps instead of twenty.
 *
 * Context   any, inside handlers.  Reads only the rows, which stay for ever once published.
 * Memory    some 145 KB per MB of code (unwinding.md 1f).
 * Source    unwinding.md 3a; made by rows_build.h. */
#ifndef SAMPLER_ROWS_H
#define SAMPLER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "sampler/rules.h"

#define ROWS_BLOCK_SHIFT 9

struct row {
	uint32_t offset, rule;
};

struct rows {
	uint32_t        first, limit;   /* the code between is described: offsets */
	uint32_t        count;
	const uint32_t *index;          /* by block from first on: the last row that begins at or
					 * before the block; one block more than there are */
	const struct row *row;          /* row[0].offset is first */
};

/* The index of the block that holds this offset: [0] and [1] are the first and the last row that it
 * may be in.  NULL: it is not described. */
static inline const uint32_t *rows_block(const struct rows *rows, uint64_t offset)
{
	if (offset < rows->first || offset >= rows->limit)
		return NULL;
	return &rows->index[(offset - rows->first) >> ROWS_BLOCK_SHIFT];
}

/* The rule at this offset. */
uint32_t rows_find(const struct rows *rows, uint64_t offset);

#endif
