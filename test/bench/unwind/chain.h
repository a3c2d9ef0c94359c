/* chain.h -- a stack of known frames: generated functions that call each other in an order which is
 * drawn anew for each stack.
 *
 * functions.py writes them; they are built twice, with and without frame pointers.  Each notes its
 * own return address, as the compiler knows it, not as a table says: so the truth about a stack
 * does not come from what is measured. */
#ifndef BENCH_UNWIND_CHAIN_H
#define BENCH_UNWIND_CHAIN_H

#include <stdint.h>

#define CHAIN_FUNCTIONS 2500
#define CHAIN_MAX       128

struct chain;
typedef unsigned long chain_function(struct chain *c, unsigned long a, unsigned long b);

struct chain {
	chain_function *next[CHAIN_MAX];
	unsigned        calls;          /* of next, so far */
	unsigned        known;          /* return addresses, outermost first */
	uintptr_t       return_address[CHAIN_MAX];
	void           *arg;            /* of the last function, which is the caller's own */
};

static inline void chain_note(struct chain *c, const void *return_address)
{
	c->return_address[c->known++] = (uintptr_t)return_address;
}

extern chain_function *const functions_with_fp[CHAIN_FUNCTIONS];
extern chain_function *const functions_without_fp[CHAIN_FUNCTIONS];

#endif
