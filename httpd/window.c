#include "httpd/window.h"

#include <string.h>

#include "httpd/job.h"
#include "httpd/live.h"
#include "sampler/os.h"

/* How long a reading stands back for the ground, which waits for those before it to end. */
#define WAITS     1000
#define WAIT_NS   1000000

static struct {
	struct window *first;           /* of the open ones */
	bool waits[GROUND_PROFILES];    /* the ground does, until nobody reads */
} windows;

void window_after_fork(void)
{
	memset(&windows, 0, sizeof(windows));
}

/* --- one ------------------------------------------------------------------------------------- */

void window_all(struct window *w, const struct ground *ground, enum ground_profile profile)
{
	*w = (struct window){
		.ground = ground,
		.profile = profile,
		.begin_ns = os_monotonic_ns(),
		.begin_real_ns = os_realtime_ns(),
		.is_open = true,
		.next = windows.first,
	};
	windows.first = w;
}

void window_close(struct window *w)
{
	struct window **at = &windows.first;

	if (!w->is_open)
		return;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	w->is_open = false;
}

void window_begin_reading(struct window *w)
{
	/* Again: the ground waits for this one. */
	for (unsigned i = 0; !w->is_read && i < WAITS && windows.waits[w->profile]; i++)
		job_sleep_until(os_monotonic_ns() + WAIT_NS);
	w->is_read = true;
}

void window_open(struct window *w, struct arena *arena, const struct ground *ground,
		 enum ground_profile profile)
{
	struct site_key key;

	/* What was loaded just now is unwound by its tables from the first sample on. */
	ground->refresh();
	window_all(w, ground, profile);
	window_begin_reading(w);
	w->end = ground->end(profile);
	w->then = arena_alloc(arena, (size_t)w->end * SITES_VALUES * sizeof(*w->then));
	for (uint32_t row = 1; w->then != NULL && row < w->end; row++) {
		(void)ground->read(profile, row, &key, &w->then[(size_t)row * SITES_VALUES]);
		if (row % 256 == 0)
			job_breathe();
	}
	w->is_read = false;
}

struct old_walk {
	struct live_walk walk;
	struct window   *window;
};

static void add_old(struct live_walk *walk, const struct heap_block *b, uint64_t age_s)
{
	const struct window *w = ((struct old_walk *)walk)->window;
	uint64_t *value = &w->old[(size_t)b->row * SITES_VALUES];

	(void)age_s;
	if (b->row >= w->end)           /* a new one, on a row that was not there */
		return;
	value[HEAP_ALLOC_OBJECTS] += b->weight;
	value[HEAP_ALLOC_BYTES] += heap_weighed_bytes(b);
	value[HEAP_ALLOC_RAW]++;
	value[HEAP_ALLOC_RAW_BYTES] += b->size;
}

void window_old(struct window *w, struct arena *arena, const struct ground *ground,
		uint64_t min_age_s)
{
	struct old_walk walk = { { add_old, min_age_s }, w };

	window_all(w, ground, GROUND_HEAP);
	window_begin_reading(w);
	w->end = ground->end(GROUND_HEAP);
	w->min_age_s = min_age_s;
	w->old = arena_alloc(arena, (size_t)w->end * SITES_VALUES * sizeof(*w->old));
	if (w->old != NULL)
		live_each(ground, &walk.walk);
}

/* What a row counted, before it is compared with the beginning. */
static bool read_now(const struct window *w, uint32_t row, struct site_key *key,
		     uint64_t now[SITES_VALUES])
{
	if (!w->ground->read(w->profile, row, key, now))
		return false;
	if (w->old == NULL)
		return true;
	for (unsigned i = 0; i < SITES_VALUES; i++)
		now[i] = row < w->end ? w->old[(size_t)row * SITES_VALUES + i] : 0;
	return true;
}

bool window_read(const struct window *w, uint32_t row, struct site_key *key,
		 int64_t value[SITES_VALUES])
{
	uint64_t now[SITES_VALUES];

	if (!read_now(w, row, key, now))
		return false;
	for (unsigned i = 0; i < SITES_VALUES; i++) {
		uint64_t then = w->then != NULL && row < w->end
					? w->then[(size_t)row * SITES_VALUES + i] : 0;

		if (row == GENERATIONS_EVICTED)
			then += w->evicted[i];
		value[i] = (int64_t)(now[i] - then);
	}
	return true;
}

/* --- all ------------------------------------------------------------------------------------- */

/* The row is another site's from now on, which begins at 0. */
static void move(enum ground_profile profile, uint32_t row)
{
	for (struct window *w = windows.first; w != NULL; w = w->next) {
		uint64_t *then;

		if (w->profile != profile || w->then == NULL || row >= w->end)
			continue;
		then = &w->then[(size_t)row * SITES_VALUES];
		for (unsigned i = 0; i < SITES_VALUES; i++) {
			w->evicted[i] += then[i];
			then[i] = 0;
		}
	}
}

static bool is_any_read(enum ground_profile profile)
{
	for (const struct window *w = windows.first; w != NULL; w = w->next)
		if (w->profile == profile && w->is_read)
			return true;
	return false;
}

uint64_t window_reclaim(const struct ground *ground)
{
	uint64_t when = UINT64_MAX;

	for (unsigned i = 0; i < GROUND_PROFILES; i++) {
		enum ground_profile profile = (enum ground_profile)i;
		uint64_t due = ground->reclaim(profile, is_any_read(profile), &windows.waits[i],
					       move);

		if (due < when)
			when = due;
	}
	return when;
}
