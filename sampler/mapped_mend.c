/* Ranges whose keeper was left at his work: their links are made anew. */
#include "sampler/mapped_ranges.h"

void mapped_ranges_break(struct mapped_ranges *r)
{
	r->broken = true;
	r->mended = 0;
}

static void begin_mending(struct mapped_ranges *r)
{
	if (atomic_load_explicit(&r->change.decided, memory_order_acquire))
		mapped_ranges_redo(r);
	for (unsigned level = 0; level < MAPPED_LEVELS; level++)
		r->range[0].next[level] = 0;
	r->free = r->objects_free = r->live = 0;
	r->bytes = 0;
}

static void mend_range(struct mapped_ranges *r, uint32_t i)
{
	struct mapped_range *range = &r->range[i];

	r->live++;
	if (range->end == 0) {
		mapped_ranges_give(r, i);
		return;
	}
	r->parts[range->object]++;
	mapped_ranges_link(r, i);
}

/* First no object has a part, then those that ranges belong to, then the others are free. */
static bool mend_next(struct mapped_ranges *r)
{
	uint64_t i = r->mended++, objects = r->objects_used;

	if (i == 0)
		begin_mending(r);
	else if (i <= objects)
		r->parts[i] = 0;
	else if (i - objects <= r->used)
		mend_range(r, (uint32_t)(i - objects));
	else if (i - objects - r->used > objects)
		return false;
	else if (r->parts[i - objects - r->used] == 0)
		mapped_ranges_give_object(r, (uint32_t)(i - objects - r->used));
	return true;
}

void mapped_ranges_mend(struct mapped_ranges *r, unsigned max)
{
	for (; r->broken && max > 0; max--)
		r->broken = mend_next(r);
}
