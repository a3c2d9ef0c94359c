/* Two walks: how many blocks each sample has, and then their ages, sample by sample.  What comes in
 * between is left out. */
#include "httpd/ages.h"

#include "httpd/job.h"
#include "httpd/live.h"

struct group {
	uint32_t first, room;           /* of ages */
	struct ages ages;
};

struct ages_walk {
	struct live_walk      walk;
	const struct samples *samples;
	struct group         *group;    /* one for each sample */
	uint32_t             *age_s;
};

static struct group *group_of(const struct ages_walk *w, const struct heap_block *b)
{
	uint32_t sample = b->row < w->samples->rows ? w->samples->of_row[b->row] : 0;

	return sample != 0 ? &w->group[sample - 1] : NULL;
}

static void count(struct live_walk *walk, const struct heap_block *b, uint64_t age_s)
{
	struct group *g = group_of((struct ages_walk *)walk, b);

	(void)age_s;
	if (g != NULL)
		g->room++;
}

static void keep(struct live_walk *walk, const struct heap_block *b, uint64_t age_s)
{
	struct ages_walk *w = (struct ages_walk *)walk;
	struct group *g = group_of(w, b);

	if (g != NULL && g->ages.blocks < g->room)
		w->age_s[g->first + g->ages.blocks++] = (uint32_t)age_s;
}

/* The first that at least half of all are not above: by halves of what is between the youngest and
 * the oldest, so nothing has to be sorted. */
static void sum_up(struct ages *a, const uint32_t *age_s)
{
	uint32_t low = UINT32_MAX, high = 0;

	for (uint32_t i = 0; i < a->blocks; i++) {
		low = age_s[i] < low ? age_s[i] : low;
		high = age_s[i] > high ? age_s[i] : high;
	}
	a->youngest_s = low;
	a->oldest_s = high;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2, below = 0;

		for (uint32_t i = 0; i < a->blocks; i++)
			below += age_s[i] <= middle;
		if (below >= a->blocks - below)
			high = middle;
		else
			low = middle + 1;
		job_breathe();
	}
	a->median_s = low;
}

const struct ages *ages_of(struct arena *arena, const struct window *w, const struct samples *s)
{
	struct ages *ages = arena_alloc(arena, (s->count + 1) * sizeof(*ages));
	struct ages_walk walk = { { count, w->min_age_s }, s, NULL, NULL };
	uint32_t all = 0;

	walk.group = arena_alloc(arena, (s->count + 1) * sizeof(*walk.group));
	if (arena->failed)
		return NULL;
	live_each(w->ground, &walk.walk);
	for (uint32_t i = 0; i < s->count; i++) {
		walk.group[i].first = all;
		all += walk.group[i].room;
	}
	walk.age_s = arena_alloc(arena, (all + 1) * sizeof(*walk.age_s));
	if (arena->failed)
		return NULL;
	walk.walk.each = keep;
	live_each(w->ground, &walk.walk);
	for (uint32_t i = 0; i < s->count; i++) {
		ages[i] = walk.group[i].ages;
		sum_up(&ages[i], walk.age_s + walk.group[i].first);
	}
	return ages;
}
