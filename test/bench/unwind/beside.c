/* Both threads have a stack, a memo and scratch of their own; what they share is ours alone to
 * measure: the cache of rules, the rows.  "alone" says what the machine itself does to two. */
#include "test/bench/bench.h"
#include "test/bench/unwind/walk.h"

static struct {
	_Atomic(const struct method *) wanted;
	_Atomic uint64_t done;
	_Atomic bool     end, idle;
	unsigned         depth;
} other;

static void *run_other(void *unused)
{
	struct walker *w = descent_new_walker();

	(void)unused;
	while (!atomic_load(&other.end)) {
		const struct method *m = atomic_load(&other.wanted);
		struct job j = { .method = m, .walker = w, .warm = 3, .captures = 16,
				 .until = &other.wanted, .done = &other.done };

		atomic_store(&other.idle, m == NULL);
		if (m == NULL)
			usleep(50);
		else
			descent_run(&j, other.depth, 1);
	}
	return NULL;
}

static void set_other(const struct method *m)
{
	uint64_t done = atomic_load(&other.done);

	atomic_store(&other.wanted, m);
	while (m != NULL ? atomic_load(&other.done) == done : !atomic_load(&other.idle))
		usleep(50);
}

/* 0 if the other thread did not run all the while. */
static double take_turn_beside(struct run *r, bool alone, uint64_t seed)
{
	uint64_t done, more;
	double ns;

	set_other(alone ? NULL : r->method);
	done = atomic_load(&other.done);
	ns = walk_take_turn(r, seed);
	more = atomic_load(&other.done) - done;
	return alone || more > r->method->captures / 2 ? ns : 0;
}

static void run_round_beside(struct run *r, long round)
{
	enum { PASSES = 15, TRIES = 200 };
	double ns[2][PASSES];
	unsigned n = 0, tries = 0;

	while (n < PASSES && tries++ < TRIES) {
		bool first = (round + tries) % 2 == 0;

		ns[first][n] = take_turn_beside(r, first, (uint64_t)round);
		ns[!first][n] = take_turn_beside(r, !first, (uint64_t)round);
		n += ns[0][n] > 0;
	}
	set_other(NULL);
	if (n == 0 || round == 0)
		return;
	printf("alone\t%u\t%s\t%.2f\n", r->depth, r->method->name, descent_middle(ns[1], n));
	printf("threads\t%u\t%s\t%.2f\n", r->depth, r->method->name, descent_middle(ns[0], n));
}

void walk_beside(struct run *run, unsigned runs, long rounds)
{
	pthread_t thread;

	other.depth = run[0].depth;
	if (pthread_create(&thread, NULL, run_other, NULL) != 0)
		die("pthread_create");
	for (long round = 0; round <= rounds; round++) {
		for (unsigned i = 0; i < runs; i++)
			run_round_beside(&run[round % 2 ? i : runs - 1 - i], round);
	}
	atomic_store(&other.end, true);
	pthread_join(thread, NULL);
}

