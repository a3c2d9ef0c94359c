/* sampler/shares.h -- a stack has rows of its own for the first few of what tells its samples apart
 * (sizes of blocks, locks); the others share one, so that no stack fills the table.
 *
 * Context   any thread, inside handlers; between threads_begin and threads_end.
 * Memory    32 KiB for all stacks: how many rows a stack has is kept by a hash of it, anew in each
 *           generation; stacks that share a cell have fewer. */
#ifndef SAMPLER_SHARES_H
#define SAMPLER_SHARES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/generations.h"

#define SHARES_CELLS_BITS 15
#define SHARES_MAX        7

struct shares {
	_Atomic uint8_t cell[1u << SHARES_CELLS_BITS];
};

/* True if the stack of this key (whatever its size) has less than max rows: this is one more. */
bool shares_take(struct shares *s, unsigned max, const struct generations *g, uint64_t now,
		 const struct site_key *key);

#endif
