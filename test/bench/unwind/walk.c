/* walk.c -- times every way of walkers.c on stacks whose frames are known, and checks each stack.
 *
 *     walk [-w repeated|random|cold|threads] [-d DEPTH] [-m METHOD] [-r ROUNDS] [-x TIMES]
 *
 * Prints "WORKLOAD DEPTH METHOD NS" for each round: the mean of the middle half of what it took to
 * capture one stack; and once "clock 0 - NS", what was subtracted from each reading of the clock.
 * Within a round the ways take turns, from the front and from the back; the first round only warms
 * up.  A stack that is not the known one ends the bench.  -x: more captures, for a profiler of
 * this program.  What the figures say is up to ../run_unwind.py.
 *
 * repeated  the same stack again and again
 * random    every stack another one
 * cold      the same stack, with 24 MB of other memory walked over in between
 * threads   repeated, while another thread does the same; "alone" is the same without it */
#include "sampler/compiler.h"
#include "test/bench/bench.h"
#include "test/bench/unwind/walk.h"

static long times = 1;

/* --- the workloads of one thread ------------------------------------------------------------- */

static const struct workload workloads[] = {
	{ "repeated", 9, 1, 0, 1, true, false },
	{ "random", 1, 600, 300, 2000, false, false },
	{ "cold", 5, 1, 0, 1, true, true },
};

/* What thread-local memory holds is a random workload's own; other stacks begin anew. */
double walk_take_turn(struct run *r, uint64_t seed)
{
	const struct workload *of = r->workload;
	struct job j = { .method = r->method, .walker = r->walker, .evict = of->evict,
			 .captures = 1 };

	if (of->same_stack) {
		walkers_init(r->walker, r->walker->bounds.lo, r->walker->bounds.hi);
		j.warm = 3;
	}
	if (of->same_stack && !of->evict)
		j.captures = (unsigned)times * (r->method->captures * 30 / r->depth + 1);
	descent_run(&j, r->depth, seed);
	return descent_ns(&j);
}

/* One stack is the same one for all; of random ones each way has its own: else one of ours would
 * find in the cache what the other has put there. */
static void take_turns(struct run *r, unsigned turns, uint64_t round)
{
	uint64_t own = (round * WALK_RUNS_MAX + r->number) * WALK_SAMPLES_MAX;

	for (unsigned i = 0; i < turns; i++) {
		double ns = walk_take_turn(r, r->workload->same_stack ? round : own + i);

		if (i >= r->workload->warm && r->count < WALK_SAMPLES_MAX)
			r->ns[r->count++] = ns;
	}
}

static void run_round(struct run *run, unsigned runs, long round)
{
	const struct workload *of = run[0].workload;
	unsigned turns = of->turns * (of->same_stack ? 1 : (unsigned)times);

	if (round == 0)
		turns = of->first_turns;

	for (unsigned i = 0; i < runs; i++)
		run[i].count = 0;
	for (unsigned pass = 0; pass < of->passes; pass++) {
		for (unsigned i = 0; i < runs; i++) {
			bool forward = (round + pass) % 2 == 0;

			take_turns(&run[forward ? i : runs - 1 - i], turns, (uint64_t)round);
		}
	}
	for (unsigned i = 0; i < runs && round > 0; i++)
		printf("%s\t%u\t%s\t%.2f\n", of->name, run[i].depth, run[i].method->name,
		       descent_middle(run[i].ns, run[i].count));
}

/* --- all of it ------------------------------------------------------------------------------- */

static bool is_wanted(const char *wanted, const char *name)
{
	return *wanted == '\0' || strcmp(wanted, name) == 0;
}

static void run_workload(const struct workload *of, bool threads, unsigned depth,
			 const char *method, long rounds)
{
	static struct run run[WALK_RUNS_MAX];
	unsigned runs = 0;

	for (const struct method *m = walkers_methods(); m->name != NULL; m++) {
		if (!is_wanted(method, m->name))
			continue;
		run[runs] = (struct run){ .workload = of, .method = m, .depth = depth,
					  .walker = descent_new_walker(), .number = runs };
		runs++;
	}
	if (threads) {
		walk_beside(run, runs, rounds);
		return;
	}
	for (long round = 0; round <= rounds; round++)
		run_round(run, runs, round);
}

int main(int argc, char **argv)
{
	static const unsigned depths[] = { 10, 30, 100 };
	const char *workload = opt_str(argc, argv, "-w", "");
	const char *method = opt_str(argc, argv, "-m", "");
	long depth = opt_long(argc, argv, "-d", 0), rounds = opt_long(argc, argv, "-r", 31);

	times = opt_long(argc, argv, "-x", 1);
	walkers_start();
	descent_start();
	printf("clock\t0\t-\t%.2f\n", descent_clock_ns());
	for (unsigned d = 0; d < COUNT_OF(depths); d++) {
		for (unsigned i = 0; i < COUNT_OF(workloads); i++) {
			if (is_wanted(workload, workloads[i].name) &&
			    (depth == 0 || depths[d] == depth))
				run_workload(&workloads[i], false, depths[d], method, rounds);
		}
	}
	if (is_wanted(workload, "threads"))
		run_workload(&workloads[0], true, 30, method, rounds);
	return 0;
}
