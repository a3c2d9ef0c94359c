#include "httpd/window.h"

#include <string.h>

#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/live.h"
#include "httpd/since.h"
#include "sampler/os.h"

/* How long a reading stands back for the ground, which waits for those before it to end. */
#define WAITS     1000
#define WAIT_NS   1000000

static struct {
	struct window *first;           /* of the open ones */
	bool waits[GROUND_PROFILES];    /* the ground does, until nobody reads */
	unsigned cpu_hz;                /* the greatest that one asks for */
} windows;

void window_after_fork(void)
{
	memset(&windows, 0, sizeof(windows));
	since_after_fork();
}

static void follow_cpu_hz(const struct ground *ground)
{
	unsigned hz = 0;

	for (const struct window *w = windows.first; w != NULL; w = w->next)
		if (w->cpu_hz > hz)
			hz = w->cpu_hz;
	if (hz != windows.cpu_hz)
		ground->raise_cpu_hz(hz);
	windows.cpu_hz = hz;
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
	follow_cpu_hz(w->ground);
}

static void settle(const struct window *w)
{
	uint32_t next = 0;

	while (w->profile == GROUND_WALL && !w->ground->wall_settle(&next))
		job_breathe();
}

void window_begin_reading(struct window *w)
{
	if (!w->is_read)
		settle(w);
	/* Again: the ground waits for this one. */
	for (unsigned i = 0; !w->is_read && i < WAITS && windows.waits[w->profile]; i++)
		job_sleep_until(os_monotonic_ns() + WAIT_NS);
	w->is_read = true;
}

/* Where each row's counters are copied to; NULL: the arena is full. */
static uint64_t *copy_rows(struct window *w, struct arena *arena, uint32_t *end)
{
	const struct ground *ground = w->ground;
	struct site_key key;
	uint64_t *copy;

	window_begin_reading(w);
	*end = ground->end(w->profile);
	copy = arena_alloc(arena, (size_t)*end * SITES_VALUES * sizeof(*copy));
	for (uint32_t row = 1; copy != NULL && row < *end; row++) {
		(void)ground->read(w->profile, row, &key, &copy[(size_t)row * SITES_VALUES]);
		if (row % 256 == 0)
			job_breathe();
	}
	return copy;
}

static void begin(struct window *w, struct arena *arena, const struct ground *ground,
		  enum ground_profile profile, unsigned cpu_hz)
{
	/* What was loaded just now is unwound by its tables from the first sample on. */
	chores_refresh(ground);
	window_all(w, ground, profile);
	w->cpu_hz = cpu_hz;
	follow_cpu_hz(ground);
	w->then = copy_rows(w, arena, &w->end);
	w->is_read = false;
}

bool window_keep_now(struct window *w, struct arena *arena)
{
	w->now = copy_rows(w, arena, &w->now_end);
	return w->now != NULL;
}

/* Freed so far less allocated then, instead of less freed then: what was in use then falls out. */
void window_absolute(struct window *w, unsigned allocated, unsigned freed, unsigned count)
{
	for (uint32_t row = 0; w->then != NULL && row < w->end; row++) {
		uint64_t *then = &w->then[(size_t)row * SITES_VALUES];

		memcpy(then + freed, then + allocated, count * sizeof(*then));
		if (row % 256 == 0)
			job_breathe();
	}
	/* Last: rows may have moved meanwhile. */
	memcpy(w->evicted + freed, w->evicted + allocated, count * sizeof(*w->evicted));
}

bool window_has_turn(const void *turn)
{
	for (const struct window *w = windows.first; w != NULL; w = w->next)
		if (w->turn == turn)
			return true;
	return false;
}

void window_open(struct window *w, struct arena *arena, const struct ground *ground,
		 enum ground_profile profile)
{
	begin(w, arena, ground, profile, 0);
}

void window_open_cpu(struct window *w, struct arena *arena, const struct ground *ground,
		     unsigned hz)
{
	begin(w, arena, ground, GROUND_CPU, hz);
}

void window_open_wall(struct window *w, struct arena *arena, const struct ground *ground,
		      unsigned hz)
{
	begin(w, arena, ground, GROUND_WALL, hz);
	w->wall_hz = hz;
}

struct old_walk {
	struct live_walk walk;
	struct window   *window;
};

static void add_old(struct live_walk *walk, const struct heap_block *b, uint64_t age_s)
{
	const struct window *w = ((struct old_walk *)walk)->window;
	uint64_t *value = &w->now[(size_t)b->row * SITES_VALUES];

	(void)age_s;
	if (b->row >= w->now_end)           /* a new one, on a row that was not there */
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
	w->now_end = ground->end(GROUND_HEAP);
	w->min_age_s = min_age_s;
	w->now = arena_alloc(arena, (size_t)w->now_end * SITES_VALUES * sizeof(*w->now));
	if (w->now != NULL)
		live_each(ground, &walk.walk);
}

/* What a row counted, before it is compared with the beginning. */
static bool read_now(const struct window *w, uint32_t row, struct site_key *key,
		     uint64_t now[SITES_VALUES])
{
	if (!w->ground->read(w->profile, row, key, now))
		return false;
	if (w->now == NULL)
		return true;
	for (unsigned i = 0; i < SITES_VALUES; i++)
		now[i] = row < w->now_end ? w->now[(size_t)row * SITES_VALUES + i] : 0;
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
	since_moved(profile, row);
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

uint64_t window_wall(const struct ground *ground)
{
	unsigned hz = 0;

	for (const struct window *w = windows.first; w != NULL; w = w->next)
		if (!w->is_read && w->wall_hz > hz)
			hz = w->wall_hz;
	return ground->wall(hz);
}
