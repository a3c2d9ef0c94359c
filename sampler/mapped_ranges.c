#include "sampler/mapped_ranges.h"

#include <assert.h>

#include "sampler/levels.h"

static_assert(sizeof(struct mapped_range) == 64, "a range is a cache line");

void mapped_ranges_init(struct mapped_ranges *r, void *memory, uint32_t max,
			const struct mapped_ranges_world *world)
{
	*r = (struct mapped_ranges){ .range = memory, .max = max, .world = world };
	r->parts = (uint32_t *)(void *)(r->range + max + 1);
}

/* --- ranges and objects ---------------------------------------------------------------------- */

/* 0: there is none. */
static uint32_t take_range(struct mapped_ranges *r)
{
	uint32_t i = r->free;

	if (i != 0)
		r->free = r->range[i].next[0];
	else if (r->used < r->max)
		i = ++r->used;
	r->live += i != 0;
	return i;
}

void mapped_ranges_give(struct mapped_ranges *r, uint32_t i)
{
	r->range[i].next[0] = r->free;
	r->free = i;
	r->live--;
}

/* There are as many as ranges, and each has one at least. */
static uint32_t take_object(struct mapped_ranges *r)
{
	uint32_t i = r->objects_free;

	if (i != 0)
		r->objects_free = r->parts[i];
	else
		i = ++r->objects_used;
	r->parts[i] = 1;
	return i;
}

void mapped_ranges_give_object(struct mapped_ranges *r, uint32_t i)
{
	r->parts[i] = r->objects_free;
	r->objects_free = i;
}

/* --- changes --------------------------------------------------------------------------------- */

enum { ADDED, GONE };

/* Of range i, or 0, for this row: as it is, until somebody writes something else. */
static struct mapped_change *plan(struct mapped_ranges *r, uint32_t i, uint32_t row)
{
	struct mapped_change *c = &r->change;

	c->range = i;
	c->start = r->range[i].start;
	c->end = r->range[i].end;
	c->other = 0;
	c->row = row;
	c->event = 0;
	r->world->read(row, c->value);
	return c;
}

static void count(struct mapped_change *c, unsigned which, unsigned objects, uint64_t bytes)
{
	c->value[2 * which] += objects;
	c->value[2 * which + 1] += bytes;
}

void mapped_ranges_redo(struct mapped_ranges *r)
{
	const struct mapped_change *c = &r->change;

	r->range[c->range].start = c->start;
	r->range[c->range].end = c->end;
	if (c->other != 0)
		r->range[c->other].end = c->other_end;
	r->world->raise(c->row, c->value);
	if (c->event != 0)
		r->world->done(c->event - 1);
	atomic_store_explicit(&r->change.decided, false, memory_order_release);
}

/* The compiler moves nothing from before it behind it, nor the other way round: a handler, or who
 * comes after, sees all of what was planned. */
static void make(struct mapped_ranges *r)
{
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&r->change.decided, true, memory_order_release);
	atomic_thread_fence(memory_order_acq_rel);
	mapped_ranges_redo(r);
	atomic_thread_fence(memory_order_acq_rel);
}

/* --- the list -------------------------------------------------------------------------------- */

/* The last range on each level that starts before this. */
static void seek(const struct mapped_ranges *r, uintptr_t start, uint32_t before[MAPPED_LEVELS])
{
	uint32_t at = 0;

	for (unsigned level = MAPPED_LEVELS; level-- > 0;) {
		uint32_t next;

		while ((next = r->range[at].next[level]) != 0 && r->range[next].start < start)
			at = next;
		before[level] = at;
	}
}

static unsigned count_levels(uint64_t hash)
{
	unsigned n = 1;

	for (; n < MAPPED_LEVELS && (hash & 3) == 0; hash >>= 2)
		n++;
	return n;
}

void mapped_ranges_link(struct mapped_ranges *r, uint32_t i)
{
	uint32_t before[MAPPED_LEVELS];
	struct mapped_range *range = &r->range[i];
	unsigned levels = count_levels(levels_hash(range->start ^ range->born));

	seek(r, range->start, before);
	for (unsigned level = 0; level < MAPPED_LEVELS; level++) {
		range->next[level] = 0;
		if (level < levels) {
			range->next[level] = r->range[before[level]].next[level];
			r->range[before[level]].next[level] = i;
		}
	}
	r->bytes += range->end - range->start;
}

/* What of it lies from here on becomes a range of its own. */
static void split(struct mapped_ranges *r, uint32_t i, uintptr_t at)
{
	uint32_t upper = take_range(r);
	struct mapped_range *range = &r->range[i];
	struct mapped_change *c = plan(r, i, range->row);

	r->bytes -= range->end - at;            /* mapped_ranges_link adds them again */
	if (upper == 0) {
		count(c, GONE, 0, range->end - at);
	} else {
		r->range[upper] = (struct mapped_range){ .start = at, .born = range->born,
							 .row = range->row,
							 .object = range->object };
		c->other = upper;
		c->other_end = range->end;
	}
	c->end = at;
	make(r);
	if (upper != 0) {
		r->parts[range->object]++;
		mapped_ranges_link(r, upper);
	}
}

/* Of it only [start, end) stays. */
static void shrink(struct mapped_ranges *r, uint32_t i, uintptr_t start, uintptr_t end)
{
	const struct mapped_range *range = &r->range[i];
	uint64_t bytes = range->end - range->start - (end - start);
	struct mapped_change *c = plan(r, i, range->row);

	c->start = start;
	c->end = end;
	count(c, GONE, 0, bytes);
	r->bytes -= bytes;
	make(r);
}

/* One that begins before start: what of it lies in [start, end). */
static void cut_first(struct mapped_ranges *r, uint32_t i, uintptr_t start, uintptr_t end,
		      uint64_t before)
{
	const struct mapped_range *range = &r->range[i];

	if (range->end <= start || range->born >= before)
		return;
	if (range->end > end)
		split(r, i, end);
	shrink(r, i, range->start, start);
}

static void drop(struct mapped_ranges *r, uint32_t i, const uint32_t before[MAPPED_LEVELS])
{
	const struct mapped_range *range = &r->range[i];
	struct mapped_change *c = plan(r, i, range->row);
	uint64_t bytes = range->end - range->start;

	c->end = 0;
	count(c, GONE, r->parts[range->object] == 1, bytes);
	make(r);
	r->bytes -= bytes;
	for (unsigned level = 0; level < MAPPED_LEVELS; level++)
		if (r->range[before[level]].next[level] == i)
			r->range[before[level]].next[level] = range->next[level];
	if (--r->parts[range->object] == 0)
		mapped_ranges_give_object(r, range->object);
	mapped_ranges_give(r, i);
	/* A new beginning: there is less to mend, and to touch. */
	if (r->live == 0)
		r->used = r->free = r->objects_used = r->objects_free = 0;
}

void mapped_ranges_remove(struct mapped_ranges *r, uintptr_t start, uintptr_t end, uint64_t before)
{
	uint32_t last[MAPPED_LEVELS], i, next;

	seek(r, start, last);
	if (last[0] != 0)
		cut_first(r, last[0], start, end, before);
	for (i = r->range[last[0]].next[0]; i != 0 && r->range[i].start < end; i = next) {
		struct mapped_range *range = &r->range[i];

		next = range->next[0];
		if (range->born >= before) {
			for (unsigned level = 0; level < MAPPED_LEVELS; level++)
				if (r->range[last[level]].next[level] == i)
					last[level] = i;
		} else if (range->end <= end) {
			drop(r, i, last);
		} else {
			shrink(r, i, end, range->end);
		}
	}
}

bool mapped_ranges_add(struct mapped_ranges *r, uintptr_t start, uintptr_t end, uint32_t row,
		       uint64_t event)
{
	uint32_t i = take_range(r);
	struct mapped_change *c;

	if (i != 0)
		r->range[i] = (struct mapped_range){ .start = start, .born = event, .row = row,
						     .object = take_object(r) };
	c = plan(r, i, row);
	c->end = i != 0 ? end : 0;
	count(c, ADDED, 1, end - start);
	if (i == 0)
		count(c, GONE, 1, end - start);
	c->event = event + 1;
	make(r);
	if (i != 0)
		mapped_ranges_link(r, i);
	return i != 0;
}

/* --- questions ------------------------------------------------------------------------------- */

uint64_t mapped_ranges_in(const struct mapped_ranges *r, uintptr_t start, uintptr_t end)
{
	uint32_t before[MAPPED_LEVELS], i;
	uint64_t bytes = 0;

	seek(r, start, before);
	if (before[0] != 0 && r->range[before[0]].end > start) {
		uintptr_t until = r->range[before[0]].end;

		bytes = (until < end ? until : end) - start;
	}
	for (i = r->range[before[0]].next[0]; i != 0 && r->range[i].start < end;
	     i = r->range[i].next[0])
		bytes += (r->range[i].end < end ? r->range[i].end : end) - r->range[i].start;
	return bytes;
}
