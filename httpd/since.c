/* Only the counters that grow are kept, side by side: those of what was allocated, or all of a
 * lock.  What is in use at the end is the difference of two that are both at hand then. */
#include "httpd/since.h"

#include <errno.h>
#include <string.h>

#include "httpd/job.h"
#include "sampler/os.h"

#define KEPT_MAX 4

/* How long one waits for the request of the same name before it: 60 s. */
#define WAITS   6000
#define WAIT_NS 10000000

/* Which counters, by profile; freed: where their opposites are, 0 for none. */
static const struct kept { unsigned count, freed; } kept_of[GROUND_PROFILES] = {
	[GROUND_HEAP] = { 4, HEAP_FREE_OBJECTS },
	[GROUND_BLOCK] = { 2, 0 },
	[GROUND_MUTEX] = { 2, 0 },
};

struct kept_rows {
	uint64_t *value;                /* kept.count for each; NULL: none */
	uint32_t  end;
	size_t    bytes;                /* mapped */
};

struct client {
	char                name[SINCE_NAME_MAX + 1];
	enum ground_profile profile;
	bool                known;
	struct kept_rows         then, next; /* next: of the request that has the turn */
	uint64_t            evicted[KEPT_MAX];  /* of then */
	uint64_t            then_ns;            /* 0: it was never told anything */
	uint64_t            asked_ns;
};

static struct {
	struct client client[SINCE_CLIENTS];
	size_t        bytes;            /* of all rows */
} since;

static void drop_rows(struct kept_rows *rows)
{
	if (rows->value != NULL)
		os_unmap(rows->value, rows->bytes);
	since.bytes -= rows->bytes;
	*rows = (struct kept_rows){ NULL, 0, 0 };
}

static void forget(struct client *c)
{
	drop_rows(&c->then);
	drop_rows(&c->next);
	*c = (struct client){ .known = false };
}

void since_after_fork(void)
{
	for (unsigned i = 0; i < SINCE_CLIENTS; i++)
		forget(&since.client[i]);
}

void since_moved(enum ground_profile profile, uint32_t row)
{
	for (unsigned i = 0; i < SINCE_CLIENTS; i++) {
		struct client *c = &since.client[i];
		unsigned n = kept_of[profile].count;
		uint64_t *then;

		if (!c->known || c->profile != profile || row >= c->then.end)
			continue;
		then = &c->then.value[(size_t)row * n];
		for (unsigned k = 0; k < n; k++) {
			c->evicted[k] += then[k];
			then[k] = 0;
		}
	}
}

/* --- who ------------------------------------------------------------------------------------- */

/* Who has not asked for longest, but for one; those that are being answered are not touched. */
static struct client *oldest(const struct client *but)
{
	struct client *found = NULL;

	for (unsigned i = 0; i < SINCE_CLIENTS; i++) {
		struct client *c = &since.client[i];

		if (c->known && c != but && !window_has_turn(c) &&
		    (found == NULL || c->asked_ns < found->asked_ns))
			found = c;
	}
	return found;
}

static bool forget_oldest(const struct client *but)
{
	struct client *c = oldest(but);

	if (c == NULL)
		return false;
	forget(c);
	count_add(COUNT_SINCE_FORGOTTEN);
	return true;
}

static struct client *find(enum ground_profile profile, const char *name)
{
	for (unsigned i = 0; i < SINCE_CLIENTS; i++) {
		struct client *c = &since.client[i];

		if (c->known && c->profile == profile && strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

/* NULL: all are being answered. */
static struct client *find_or_add(enum ground_profile profile, const char *name)
{
	struct client *c = find(profile, name);
	unsigned i = 0;

	if (c != NULL)
		return c;
	while (i < SINCE_CLIENTS && since.client[i].known)
		i++;
	if (i == SINCE_CLIENTS) {
		if (!forget_oldest(NULL))
			return NULL;
		return find_or_add(profile, name);
	}
	c = &since.client[i];
	*c = (struct client){ .profile = profile, .known = true };
	memcpy(c->name, name, strnlen(name, SINCE_NAME_MAX));
	return c;
}

/* Its place, when nobody has its turn; NULL: it was in vain. */
static struct client *wait_for_turn(enum ground_profile profile, const char *name)
{
	for (unsigned i = 0; i < WAITS; i++) {
		struct client *c = find_or_add(profile, name);

		if (c != NULL && !window_has_turn(c))
			return c;
		job_sleep_until(os_monotonic_ns() + WAIT_NS);
	}
	return NULL;
}

/* --- a window -------------------------------------------------------------------------------- */

/* Room for what the client is going to be told now. */
static bool make_room(struct client *c, uint32_t end)
{
	size_t bytes = (size_t)end * kept_of[c->profile].count * sizeof(*c->next.value);

	drop_rows(&c->next);            /* of a request that never came to its end */
	while (since.bytes + bytes > SINCE_BYTES_MAX)
		if (!forget_oldest(c))
			return false;
	c->next.value = os_map(bytes);
	if (c->next.value == NULL)
		return false;
	c->next.bytes = bytes;
	c->next.end = end;
	since.bytes += bytes;
	return true;
}

/* As window_open has it: every counter, and none where it was never told anything. */
static bool set_then(struct window *w, struct arena *arena, const struct client *c)
{
	const struct kept *kept = &kept_of[c->profile];

	w->then = arena_alloc(arena, ((size_t)c->then.end * SITES_VALUES + 1) * sizeof(*w->then));
	if (w->then == NULL)
		return false;
	w->end = c->then.end;
	for (uint32_t row = 0; row < c->then.end; row++) {
		memcpy(&w->then[(size_t)row * SITES_VALUES],
		       &c->then.value[(size_t)row * kept->count],
		       kept->count * sizeof(*w->then));
		if (row % 256 == 0)
			job_breathe();
	}
	memcpy(w->evicted, c->evicted, kept->count * sizeof(*w->evicted));
	if (kept->freed != 0)
		window_absolute(w, 0, kept->freed, kept->count);
	return true;
}

static void keep_next(struct window *w, struct client *c)
{
	unsigned count = kept_of[c->profile].count;

	for (uint32_t row = 0; row < w->now_end; row++) {
		memcpy(&c->next.value[(size_t)row * count], &w->now[(size_t)row * SITES_VALUES],
		       count * sizeof(*w->now));
		if (row % 256 == 0)
			job_breathe();
	}
}

int since_begin(struct window *w, struct arena *arena, const struct ground *ground,
		enum ground_profile profile, const char *name, uint64_t began_ns)
{
	struct client *c = wait_for_turn(profile, name);
	uint64_t begin_ns;

	if (c == NULL)
		return -EBUSY;
	window_all(w, ground, profile);
	w->turn = c;
	c->asked_ns = w->begin_ns;
	begin_ns = c->then_ns != 0 ? c->then_ns : began_ns;
	/* Nothing moves from here on until it is closed: see window.h. */
	if (!window_keep_now(w, arena) || !make_room(c, w->now_end) || !set_then(w, arena, c)) {
		window_close(w);
		return -ENOMEM;
	}
	keep_next(w, c);
	w->now_ns = w->begin_ns;
	w->begin_ns = begin_ns;
	return 0;
}

void since_commit(struct window *w)
{
	struct client *c = &since.client[(const struct client *)w->turn - since.client];

	drop_rows(&c->then);
	c->then = c->next;
	c->next = (struct kept_rows){ NULL, 0, 0 };
	memset(c->evicted, 0, sizeof(c->evicted));
	c->then_ns = w->now_ns;
}
