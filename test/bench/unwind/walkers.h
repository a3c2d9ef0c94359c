/* walkers.h -- the ways to walk a stack that are compared. */
#ifndef BENCH_UNWIND_WALKERS_H
#define BENCH_UNWIND_WALKERS_H

#include <stdbool.h>

#include "sampler/unwind.h"
#include "sampler/unwind_memo.h"
#include "test/bench/unwind/chain.h"

/* What a thread walks with. */
struct walker {
	struct unwind_stack_bounds bounds;
	struct unwind_work          work;
	struct unwind_memo       memo;
	struct unwind_memo_frame memo_frame[CHAIN_MAX], fresh_frame[CHAIN_MAX];
	uintptr_t                pc[CHAIN_MAX];
	unsigned                 depth;
	bool                     cut;           /* the walk says that it did not reach the end */
	uintptr_t                walk_returns;  /* of walk_nowhere: the address it returned to */
};

/* Frame 0 is the function itself. */
typedef void walk_function(struct walker *w);

struct method {
	const char            *name;
	walk_function         *walk;
	chain_function *const *functions;       /* it can walk these */
	unsigned               captures;        /* that take some 40 us, 30 frames deep */
	unsigned               before;          /* a return address is noted less this */
};

/* Finds what is walked through, and the libraries; before any other thread. */
void walkers_start(void);
void walkers_init(struct walker *w, uintptr_t stack_lo, uintptr_t stack_hi);

/* The first is frame pointers.  Ends with a NULL name; leaves out what is not installed. */
const struct method *walkers_methods(void);
const struct method *walkers_find(const char *name);

/* Only notes where it was called from. */
void walk_nowhere(struct walker *w);

/* NULL, or how the stack in w differs from the one that is known. */
const char *walkers_check(const struct method *m, const struct walker *w, const struct chain *c);

#endif
