#include "sampler/compiler.h"
#include "sampler/pair.h"

#include <stdatomic.h>

static void load(_Atomic(uint64_t) pair[2], uint64_t out[2])
{
	out[0] = atomic_load_explicit(&pair[0], memory_order_acquire);
	out[1] = atomic_load_explicit(&pair[1], memory_order_acquire);
}

HOT void pair_add(_Atomic(uint64_t) pair[2], uint64_t first, uint64_t second)
{
	uint64_t was[2], now[2];

	if (!pair_can_swap()) {
		atomic_fetch_add_explicit(&pair[0], first, memory_order_release);
		atomic_fetch_add_explicit(&pair[1], second, memory_order_release);
		return;
	}
	load(pair, was);        /* of two moments, maybe: then it is not there */
	do {
		now[0] = was[0] + first;
		now[1] = was[1] + second;
	} while (!pair_swap(pair, was, now));
}

void pair_read(_Atomic(uint64_t) pair[2], uint64_t out[2])
{
	out[0] = out[1] = 0;
	if (pair_can_swap())
		(void)pair_swap(pair, out, out);        /* 0 for 0, or it stays and comes out */
	else
		load(pair, out);
}
