#include "test/bench/unwind/descent.h"

#include <sys/mman.h>

#include "sampler/compiler.h"
#include "test/bench/bench.h"
#include "test/bench/unwind/machine.h"

#define STACK_BYTES  (1u << 20)
#define EVICT_BYTES  (24u << 20)        /* twelve times a level 2 cache (unwinding.md 1b) */
#define LINE_BYTES   64
/* The walk's own function, walk_often, walk_here; call_first and machine_enter at the other end. */
#define OTHER_FRAMES 5

static struct {
	double   ns_per_tick;
	double   overhead;              /* of the clock itself, ticks */
	char    *evict;
} descent;

/* --- the innermost two frames ---------------------------------------------------------------- */

static __attribute__((noipa)) uint64_t walk_often(struct job *j, walk_function *walk, unsigned n)
{
	struct walker *w = j->walker;
	uint64_t began;

	j->often_returns = (uintptr_t)__builtin_return_address(0);
	began = machine_ticks();
	for (; n > 0; n--)
		walk(w);
	return machine_ticks() - began;
}

static void evict(void)
{
	for (size_t i = 0; i < EVICT_BYTES; i += LINE_BYTES)
		descent.evict[i]++;
}

static void check(struct job *j)
{
	struct chain truth = j->chain;
	const char *wrong;

	chain_note(&truth, (const void *)j->often_returns);
	chain_note(&truth, (const void *)j->walker->walk_returns);
	wrong = walkers_check(j->method, j->walker, &truth);
	if (wrong == NULL)
		return;
	printf("wrong %s: %s\n", j->method->name, wrong);
	exit(1);
}

static unsigned long walk_here(struct chain *c, unsigned long a, unsigned long b)
{
	struct job *j = c->arg;

	chain_note(c, __builtin_return_address(0));
	walk_often(j, walk_nowhere, 1);
	if (j->warm > 0)
		walk_often(j, j->method->walk, j->warm);
	do {
		if (j->evict)
			evict();
		memset(j->walker->pc, 0, sizeof(j->walker->pc));
		j->ticks = walk_often(j, j->method->walk, j->captures);
		check(j);
		if (j->done != NULL)
			atomic_fetch_add(j->done, j->captures);
	} while (j->until != NULL && atomic_load(j->until) == j->method);
	return a + b;
}

/* --- descents -------------------------------------------------------------------------------- */

static void call_first(void *arg)
{
	struct job *j = arg;

	chain_note(&j->chain, __builtin_return_address(0));
	USE(j->chain.next[j->chain.calls++](&j->chain, 0, (unsigned long)j->captures));
}

/* depth frames in all; the same ones for the same seed. */
void descent_run(struct job *j, unsigned depth, uint64_t seed)
{
	uint64_t random = rng_seed((unsigned)seed);

	j->chain.calls = j->chain.known = 0;
	j->chain.arg = j;
	for (unsigned i = 0; i + OTHER_FRAMES < depth; i++)
		j->chain.next[i] = j->method->functions[rng_below(&random, CHAIN_FUNCTIONS)];
	j->chain.next[depth - OTHER_FRAMES] = walk_here;
	machine_enter((void *)j->walker->bounds.hi, call_first, j);
}

struct walker *descent_new_walker(void)
{
	char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	struct walker *w = malloc(sizeof(*w));

	if (stack == MAP_FAILED || w == NULL)
		die("memory");
	walkers_init(w, (uintptr_t)stack, (uintptr_t)stack + STACK_BYTES);
	return w;
}

/* --- figures --------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The clock may go in steps of some 10 ns, so a median of single captures would be one of few
 * values. */
double descent_middle(double *values, unsigned n)
{
	unsigned first = n / 4, limit = n - n / 4;
	double sum = 0;

	qsort(values, n, sizeof(*values), compare);
	for (unsigned i = first; i < limit; i++)
		sum += values[i];
	return sum / (limit - first);
}

double descent_ns(const struct job *j)
{
	double ticks = (double)j->ticks - descent.overhead;

	return ticks * descent.ns_per_tick / j->captures;
}

double descent_clock_ns(void)
{
	return descent.overhead * descent.ns_per_tick;
}

void descent_start(void)
{
	double began = now_secs(), values[1001];
	uint64_t ticks = machine_ticks();

	descent.evict = calloc(1, EVICT_BYTES);
	if (descent.evict == NULL)
		die("memory");
	while (now_secs() - began < 0.05)
		;
	descent.ns_per_tick = (now_secs() - began) * 1e9 / (double)(machine_ticks() - ticks);
	for (unsigned i = 0; i < COUNT_OF(values); i++) {
		ticks = machine_ticks();
		values[i] = (double)(machine_ticks() - ticks);
	}
	descent.overhead = descent_middle(values, COUNT_OF(values));
}

