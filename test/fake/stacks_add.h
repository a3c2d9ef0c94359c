/* stacks_add -- a whole stack at once, as samples add it frame by frame. */
#ifndef TEST_FAKE_STACKS_ADD_H
#define TEST_FAKE_STACKS_ADD_H

#include "sampler/stacks.h"

static inline uint32_t stacks_add(struct stacks *s, const frame_t *frame, unsigned depth)
{
	uint32_t id = 0;

	while (depth > 0) {
		id = stacks_child(s, id, frame[--depth]);
		if (id == 0)
			return 0;
	}
	return id;
}

#endif
