#include "sampler/lock_holders.h"

#include <stdbool.h>

#include "sampler/random.h"

/* A charge is its time in us << CHARGE_BITS | its ns as a float's upper bits. */
#define CHARGE_BITS 24
#define US_SHIFT    10          /* 1024 ns */

static uint64_t pack(uint64_t at_ns, uint64_t ns)
{
	union { float f; uint32_t u; } weight = { .f = (float)ns };

	return at_ns >> US_SHIFT << CHARGE_BITS | weight.u >> (31 - CHARGE_BITS);
}

static double weight_of(uint64_t charge)
{
	union { float f; uint32_t u; } weight = {
		.u = (uint32_t)(charge & ((1u << CHARGE_BITS) - 1)) << (31 - CHARGE_BITS),
	};

	return (double)weight.f;
}

/* If the charge was between the two.  Times go round after 13 days. */
static bool is_between(uint64_t charge, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t at = charge >> CHARGE_BITS, from = from_ns >> US_SHIFT;
	uint64_t round = UINT64_MAX >> CHARGE_BITS;

	return ((at - from) & round) <= (to_ns >> US_SHIFT) - from;
}

void lock_holders_note(struct lock_holders *all, struct lock_site holder, uint64_t at_ns,
		       uint64_t ns)
{
	struct lock_holder *h = &all->holder[atomic_fetch_add(&all->noted, 1) % LOCK_HOLDERS];

	atomic_store_explicit(&h->site, (uint64_t)holder.row << 32 | holder.hash,
			      memory_order_relaxed);
	atomic_store_explicit(&h->charge, pack(at_ns, ns), memory_order_release);
}

struct lock_site lock_holders_pick(struct lock_holders *all, uint64_t from_ns, uint64_t to_ns,
				   uint64_t *random)
{
	uint64_t site = 0;
	double sum = 0;

	for (unsigned i = 0; i < LOCK_HOLDERS; i++) {
		struct lock_holder *h = &all->holder[i];
		uint64_t charge = atomic_load_explicit(&h->charge, memory_order_acquire);
		double weight = weight_of(charge);

		if (!is_between(charge, from_ns, to_ns))
			continue;
		sum += weight;
		if ((double)(random_next(random) >> 11) * 0x1p-53 * sum < weight)
			site = atomic_load_explicit(&h->site, memory_order_relaxed);
	}
	return (struct lock_site){ (uint32_t)(site >> 32), (uint32_t)site };
}
