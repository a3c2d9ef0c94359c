#include "sampler/lock_gates.h"

#include <stdatomic.h>
#include <stddef.h>

#include "sampler/locks.h"

static _Atomic(struct lock_gates *) used;

static void turn(struct lock_gates *g, const lock_gate *to)
{
	for (unsigned i = 0; i < LOCK_GATES; i++)
		__atomic_store_n(&g->now[i], to[i], __ATOMIC_RELAXED);
}

void lock_gates_watch(void)
{
	struct lock_gates *g = atomic_load_explicit(&used, memory_order_acquire);

	/* In one order with the count of who waits: or lock_gates_calm misses this one, and this
	 * one its turn. */
	if (g != NULL && __atomic_load_n(&g->now[0], __ATOMIC_SEQ_CST) != g->watch[0])
		turn(g, g->watch);
}

void lock_gates_calm(void)
{
	struct lock_gates *g = atomic_load_explicit(&used, memory_order_acquire);

	if (g == NULL)
		return;
	turn(g, g->bare);
	/* Who has begun to wait since may have turned them before this did, or be about to. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&locks_waits) != 0)
		turn(g, g->watch);
}

void lock_gates_use(struct lock_gates *gates)
{
	atomic_store(&used, gates);
	if (atomic_load(&locks_waits) == 0)
		lock_gates_calm();
}
