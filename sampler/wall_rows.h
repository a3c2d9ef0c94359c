/* sampler/wall_rows.h -- the rows of the wall-clock profile: found by their stacks, and added to.
 *
 * Context   our thread.
 * When full wall_rows_find returns GENERATIONS_NO_ROOM. */
#ifndef SAMPLER_WALL_ROWS_H
#define SAMPLER_WALL_ROWS_H

#include <stdint.h>

#include "sampler/wall.h"

/* A stack, leaf first. */
struct wall_stack {
	const frame_t *frame;
	unsigned       depth;           /* one at least */
};

/* The number of the present generation, its low half: what was found is good as long as this is
 * the same. */
static inline uint32_t wall_rows_generation(void)
{
	return (uint32_t)generations_number(generations_now(&wall_table));
}

/* The row of key with this stack, whose id is then in key (0: there is no room). */
uint32_t wall_rows_find(const struct wall_stack *w, struct site_key *key);

/* The row of this name and state with a stack that was found, unless it is 0; else with a single
 * frame instead. */
uint32_t wall_rows_of(uint32_t stack, uint16_t name, enum wall_state state);
uint32_t wall_rows_instead(frame_t frame, uint16_t name, enum wall_state state);

static inline void wall_rows_credit(uint32_t row, uint64_t samples, uint64_t ns)
{
	sites_add(&wall_table.sites, row, WALL_SAMPLES, samples, ns);
}

#endif
