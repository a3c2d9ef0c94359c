/* test/fake/made_samples.h -- samples made to order, as sample.c makes them of a walk. */
#ifndef TEST_FAKE_MADE_SAMPLES_H
#define TEST_FAKE_MADE_SAMPLES_H

#include "fake/stacks_add.h"
#include "sampler/generations.h"

/* The row to count on for this stack, leaf first; key->stack is written. */
static inline uint32_t made_sample(struct generations *g, const frame_t *frame, unsigned depth,
				   struct site_key *key)
{
	for (int tries = 0; tries < 2; tries++) {
		uint64_t now = generations_now(g);
		uint32_t id = stacks_add(&generations_at(g, now)->stacks, frame, depth), row;

		key->stack = generations_stack(now, id);
		row = id != 0 ? generations_row(g, now, key) : 0;
		if (row != 0)
			return row;
		if (!generations_next(g, now))
			break;
	}
	return GENERATIONS_NO_ROOM;
}

/* What a counter is on all rows together. */
static inline uint64_t made_samples_sum(const struct generations *g, unsigned value)
{
	uint64_t sum = 0, v[SITES_VALUES];
	struct site_key key;

	for (uint32_t row = 1; row < sites_end(&g->sites); row++)
		if (sites_read(&g->sites, row, &key, v))
			sum += v[value];
	return sum;
}

#endif
