#include "sampler/rules.h"

_Atomic uint64_t rules_word[1u << RULES_PLACE_BITS] __attribute__((aligned(64)));

/* A place beside this one for what is there now: a free one, or any. */
static size_t place_beside(size_t place, uintptr_t pc)
{
	for (size_t i = 1; i < RULES_GROUP; i++) {
		if (rules_at_place(place ^ i) == 0)
			return place ^ i;
	}
	return place ^ (1 + (pc >> RULES_PLACE_BITS) % (RULES_GROUP - 1));
}

HOT void rules_add(uintptr_t pc, uint32_t rule)
{
	size_t place = rules_place(pc);
	uint64_t older = rules_at_place(place);

	if (pc + 1 == 0 || !rules_may_know(pc))
		return;
	if (older != 0)
		atomic_store_explicit(&rules_word[place_beside(place, pc)], older,
				      memory_order_relaxed);
	atomic_store_explicit(&rules_word[place], rules_mix(pc) ^ rule, memory_order_relaxed);
}
