/* sampler/parked_copy.h -- the copy that parked.c walks: where it is, and what is in it.
 *
 * Context   our thread: there is one.
 * Memory    as parked.h says. */
#ifndef SAMPLER_PARKED_COPY_H
#define SAMPLER_PARKED_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/parked.h"

struct parked_copy {
	uintptr_t sp, hi;               /* of the copy */
	uintptr_t moved;                /* from the stack to its copy */
	size_t    bytes;                /* copied from sp on */
	bool      ended;                /* nothing is readable behind them */
};

extern HIDDEN struct parked_copy parked_copy;

/* False: no memory. */
bool parked_copy_is_ready(void);

/* The beginning of the stack at sp.  False: nothing of it can be read. */
bool parked_copy_take(uintptr_t sp);
/* The same stack again, and more of it.  False: there is no more, or it would be too much; it is as
 * before. */
bool parked_copy_grow(uintptr_t sp);
bool parked_copy_may_grow(void);

/* True if this is an address in the copy. */
bool parked_copy_has(uintptr_t at);
/* True if this pointer, which was not moved, may be one to the part that was not copied. */
bool parked_copy_may_be(uintptr_t at);

/* What it took of memory is the kernel's again. */
void parked_copy_give_back(void);

#endif
