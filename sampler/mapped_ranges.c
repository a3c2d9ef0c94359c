#include "sampler/mapped_ranges.h"

#include <assert.h>

#include "sampler/levels.h"

static_assert(sizeof(struct mapped_range) == 64, "a range is a cache line");

void mapped_ranges_init(struct mapped_ranges *r, void *memory, uint32_t max,
			void (*gone)(uint32_t row, unsigned objects, uint64_t bytes))
{
	*r = (struct mapped_ranges){ .range = memory, .max = max, .gone = gone };
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

static void give_range(struct mapped_ranges *r, uint32_t i)
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

/* A part of it has gone.  True: it was the last one. */
static bool give_part(struct mapped_ranges *r, uint32_t i)
{
	if (--r->parts[i] != 0)
		return false;
	r->parts[i] = r->objects_free;
	r->objects_free = i;
	return true;
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

static void link_range(struct mapped_ranges *r, uint32_t i)
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

static void lose(struct mapped_ranges *r, const struct mapped_range *range, unsigned objects,
		 uint64_t bytes)
{
	r->bytes -= bytes;
	r->gone(range->row, objects, bytes);
}

/* What of it lies from here on becomes a range of its own. */
static void split(struct mapped_ranges *r, struct mapped_range *range, uintptr_t at)
{
	uint32_t i = take_range(r);
	uintptr_t end = range->end;

	range->end = at;
	if (i == 0) {
		lose(r, range, 0, end - at);
		return;
	}
	r->bytes -= end - at;           /* link_range adds them again */
	r->range[i] = (struct mapped_range){ .start = at, .end = end, .born = range->born,
					     .row = range->row, .object = range->object };
	r->parts[range->object]++;
	link_range(r, i);
}

/* One that begins before start: what of it lies in [start, end). */
static void cut_first(struct mapped_ranges *r, struct mapped_range *range, uintptr_t start,
		      uintptr_t end, uint64_t before)
{
	uintptr_t was = range->end;

	if (was <= start || range->born >= before)
		return;
	if (was > end) {
		split(r, range, end);
		was = end;
	}
	range->end = start;
	lose(r, range, 0, was - start);
}

static void drop(struct mapped_ranges *r, uint32_t i, const uint32_t before[MAPPED_LEVELS])
{
	const struct mapped_range *range = &r->range[i];

	for (unsigned level = 0; level < MAPPED_LEVELS; level++)
		if (r->range[before[level]].next[level] == i)
			r->range[before[level]].next[level] = range->next[level];
	lose(r, range, give_part(r, range->object), range->end - range->start);
	give_range(r, i);
}

void mapped_ranges_remove(struct mapped_ranges *r, uintptr_t start, uintptr_t end, uint64_t before)
{
	uint32_t last[MAPPED_LEVELS], i, next;

	seek(r, start, last);
	if (last[0] != 0)
		cut_first(r, &r->range[last[0]], start, end, before);
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
			lose(r, range, 0, end - range->start);
			range->start = end;
		}
	}
}

bool mapped_ranges_add(struct mapped_ranges *r, uintptr_t start, uintptr_t end, uint32_t row,
		       uint64_t born)
{
	uint32_t i = take_range(r);

	if (i == 0)
		return false;
	r->range[i] = (struct mapped_range){ .start = start, .end = end, .born = born, .row = row,
					     .object = take_object(r) };
	link_range(r, i);
	return true;
}

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
