#include "sampler/rules.h"

_Atomic uint64_t rules_word[2u << RULES_PAIR_BITS] __attribute__((aligned(64)));

HOT void rules_add(uintptr_t pc, uint32_t rule)
{
	_Atomic uint64_t *pair = rules_pair(pc);
	uint64_t older = atomic_load_explicit(&pair[0], memory_order_relaxed);

	if (pc >> RULES_PAIR_BITS >> (64 - RULES_BITS) != 0)
		return;
	atomic_store_explicit(&pair[1], older, memory_order_relaxed);
	atomic_store_explicit(&pair[0], (uint64_t)(pc >> RULES_PAIR_BITS) << RULES_BITS | rule,
			      memory_order_relaxed);
}
