/* descent.h -- one stack of known frames, walked at its end: timed, and checked. */
#ifndef BENCH_UNWIND_DESCENT_H
#define BENCH_UNWIND_DESCENT_H

#include <stdatomic.h>

#include "test/bench/unwind/walkers.h"

/* What to do where the descent ends.  warm walks, then what evict says, then captures walks: these
 * are timed, and the last stack is checked. */
struct job {
	const struct method *method;
	struct walker       *walker;
	unsigned             warm, captures;
	bool                 evict;             /* walk over other memory before */
	_Atomic(const struct method *) *until;  /* again while this is the method; NULL: once */
	_Atomic uint64_t    *done;              /* captures are added here; may be NULL */
	uint64_t             ticks;             /* the time it took */
	struct chain         chain;
	uintptr_t            often_returns;
};

/* Before the rest. */
void descent_start(void);

struct walker *descent_new_walker(void);

/* Through functions drawn from seed, so that there are depth frames.  A stack that is walked wrong
 * ends the bench, with a line that says so and status 1. */
void descent_run(struct job *j, unsigned depth, uint64_t seed);

/* What a capture took. */
double descent_ns(const struct job *j);
/* What reading the clock takes; descent_ns is without it. */
double descent_clock_ns(void);

/* The mean of the middle half. */
double descent_middle(double *values, unsigned n);

#endif
