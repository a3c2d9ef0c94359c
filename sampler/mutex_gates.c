#include "sampler/mutex_gates.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/single_threaded.h>

static _Atomic(struct mutex_gates *) used;
static atomic_bool others;

/* Those that are not where they should be.  Who comes from further on would go back. */
static void turn(struct mutex_gates *g, const lock_gate *from, const lock_gate *to)
{
	for (unsigned i = 0; i < MUTEX_GATES; i++) {
		lock_gate was = from[i];

		(void)!__atomic_compare_exchange_n(&g->now[i], &was, to[i], false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
}

void mutex_gates_others(void)
{
	struct mutex_gates *g;

	if (atomic_load_explicit(&others, memory_order_relaxed))
		return;
	atomic_store(&others, true);
	g = atomic_load(&used);
	if (g != NULL)
		turn(g, g->alone, g->owner);
}

void mutex_gates_waits(void)
{
	struct mutex_gates *g = atomic_load_explicit(&used, memory_order_acquire);

	if (g == NULL || __atomic_load_n(&g->now[0], __ATOMIC_RELAXED) == g->word[0])
		return;
	mutex_gates_others();
	turn(g, g->owner, g->word);
}

void mutex_gates_use(struct mutex_gates *g)
{
	turn(g, g->owner, g->alone);
	atomic_store(&used, g);
	if (!__libc_single_threaded)
		mutex_gates_others();
	/* Who came while this was done. */
	if (atomic_load(&others))
		turn(g, g->alone, g->owner);
}
