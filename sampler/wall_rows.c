#include "sampler/wall_rows.h"

#include "sampler/count.h"

/* 0: the table is full. */
static uint32_t add_stack(struct stacks *s, const struct wall_stack *w)
{
	uint32_t id = 0;

	for (unsigned i = w->depth; i-- > 0;) {
		id = stacks_child(s, id, w->frame[i]);
		if (id == 0)
			return 0;
	}
	return id;
}

/* Twice at most: as sample.c. */
uint32_t wall_rows_find(const struct wall_stack *w, struct site_key *key)
{
	for (bool again = true;; again = false) {
		uint64_t now = generations_now(&wall_table);
		uint32_t id = add_stack(&generations_at(&wall_table, now)->stacks, w), row = 0;

		key->stack = generations_stack(now, id);
		if (id != 0 && (row = generations_row(&wall_table, now, key)) != 0)
			return row;
		if (!again || !generations_next(&wall_table, now)) {
			count_add(id != 0 ? COUNT_WALL_NO_SITE : COUNT_WALL_NO_STACK);
			key->stack = 0;
			return GENERATIONS_NO_ROOM;
		}
	}
}

uint32_t wall_rows_instead(frame_t frame, uint16_t name, enum wall_state state)
{
	struct wall_stack w = { &frame, 1 };
	struct site_key key = { .thread = name, .labels = (uint16_t)state };

	return wall_rows_find(&w, &key);
}

uint32_t wall_rows_of(uint32_t stack, uint16_t name, enum wall_state state)
{
	struct site_key key = { .stack = stack, .thread = name, .labels = (uint16_t)state };
	uint32_t row = 0;

	if (stack != 0)
		row = generations_row(&wall_table, generations_now(&wall_table), &key);
	return row != 0 ? row : wall_rows_instead(FRAME_WALL_NO_STACK, name, state);
}
