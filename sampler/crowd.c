#include "sampler/crowd.h"

#define TAKEN_MAX ((1u << 24) - 1)

struct state {
	uint32_t since, taken;
	unsigned shift;
};

/* Two CROWD_FEW without CROWD_TAKEN are a step. */
static struct state read_at(uint64_t word, uint32_t now)
{
	struct state s = { (uint32_t)(word >> 32), (uint32_t)(word >> 8) & TAKEN_MAX, word & 0xff };
	uint32_t steps = (now - s.since) / (2 * CROWD_FEW);

	/* Another processor's clock may be a little behind. */
	if (now - s.since > UINT32_MAX / 2)
		return s;
	if (steps != 0)
		s = (struct state){ now, 0, steps < s.shift ? s.shift - steps : 0 };
	return s;
}

unsigned crowd_shift(const struct crowd *c, uint32_t now)
{
	return read_at(atomic_load_explicit(&c->state, memory_order_relaxed), now).shift;
}

static void turn_over(struct state *s, uint32_t now, unsigned max)
{
	uint64_t passed = now - s->since, many = (uint64_t)s->taken * (CROWD_MANY / CROWD_TAKEN);

	if (passed < many / 8)
		s->shift += 3;
	else if (passed < many)
		s->shift++;
	else if (passed > (uint64_t)s->taken * (CROWD_FEW / CROWD_TAKEN) && s->shift > 0)
		s->shift--;
	if (s->shift > max)
		s->shift = max;
	s->taken = 0;
	s->since = now;
}

void crowd_took(struct crowd *c, uint32_t now, uint32_t times, unsigned max)
{
	uint64_t was = atomic_load_explicit(&c->state, memory_order_relaxed);
	struct state s = read_at(was, now);

	s.taken = times < TAKEN_MAX - s.taken ? s.taken + times : TAKEN_MAX;
	if (s.taken > CROWD_TAKEN)
		turn_over(&s, now, max);
	(void)!atomic_compare_exchange_strong_explicit(&c->state, &was,
						       (uint64_t)s.since << 32 |
							       (uint64_t)s.taken << 8 | s.shift,
						       memory_order_relaxed, memory_order_relaxed);
}
