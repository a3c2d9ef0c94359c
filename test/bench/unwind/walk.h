/* walk.h -- the rounds of one way to walk in one workload. */
#ifndef BENCH_UNWIND_WALK_H
#define BENCH_UNWIND_WALK_H

#include "test/bench/unwind/descent.h"

#define WALK_SAMPLES_MAX 4096
#define WALK_RUNS_MAX    8

/* turns of each way are taken together, then the next way's, all that passes times.  The first
 * warm turns of them are not counted: it takes a hundred random stacks until what the other ways
 * have put into the processor's caches has given way. */
struct workload {
	const char *name;
	unsigned    passes, turns, warm;
	unsigned    first_turns;        /* in the round that warms up */
	bool        same_stack, evict;
};

struct run {
	const struct workload *workload;
	const struct method   *method;
	struct walker         *walker;
	unsigned               depth, number;
	double                 ns[WALK_SAMPLES_MAX];
	unsigned               count;
};

/* One descent: ns for a capture.  The same seed is the same stack. */
double walk_take_turn(struct run *r, uint64_t seed);

/* The same stack again and again, while another thread does the same, and alone. */
void walk_beside(struct run *run, unsigned runs, long rounds);

#endif
