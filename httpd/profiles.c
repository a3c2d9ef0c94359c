#include "httpd/profiles.h"

#include <string.h>

#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/query.h"
#include "sampler/levels.h"
#include "sampler/os.h"

#define SECOND_NS  1000000000ll
#define SECONDS_MAX 1000000     /* a wait of 11 days: more is cut, so that no sum overflows */

void profiles_stack(struct exchange *x, const struct profile_kind *kind, struct places *places,
		    uint32_t stack, frame_t scratch[static PROFILES_FRAMES_MAX],
		    struct profile_stack *out)
{
	unsigned hidden = 0;

	out->depth = x->desk->ground->frames(kind->ground, stack, scratch, PROFILES_FRAMES_MAX);
	if (kind->hides_allocator)
		hidden = places_allocator_frames(places, scratch, out->depth);
	out->frame = scratch + hidden;
	out->depth -= hidden;
}

struct shown {
	struct exchange           *x;
	const struct profile_kind *kind;
	struct places             *places;
	frame_t                   *scratch;
};

static uint64_t shown_as(void *with, uint32_t stack)
{
	struct shown *s = with;
	struct profile_stack frames;
	uint64_t hash = 0;

	profiles_stack(s->x, s->kind, s->places, stack, s->scratch, &frames);
	for (unsigned i = 0; i < frames.depth; i++)
		hash = levels_hash(hash ^ (uintptr_t)places_find(s->places, frames.frame[i]));
	job_breathe();
	return hash;
}

void profiles_merge(struct exchange *x, const struct profile_kind *kind, struct places *places,
		    frame_t scratch[static PROFILES_FRAMES_MAX], struct samples *samples)
{
	struct shown shown = { x, kind, places, scratch };

	samples_merge(samples, &x->arena, shown_as, &shown);
}

struct by_value {
	const struct profile_kind *kind;
	unsigned                   value;
};

static int64_t value_of(const void *with, const struct sample *s)
{
	const struct by_value *by = with;
	int64_t value[PPROF_VALUES_MAX];

	by->kind->values(s->value, value);
	return value[by->value];
}

void profiles_sort(struct exchange *x, const struct profile_kind *kind, struct samples *samples,
		   unsigned value)
{
	const struct by_value by = { kind, value };

	samples_sort_by(samples, &x->arena, value_of, &by);
}

/* --- the requests ---------------------------------------------------------------------------- */

void profiles_serve_window(struct exchange *x, const struct profile_kind *kind,
			   const struct formats *f, int64_t seconds)
{
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	job_sleep_until(x->window.begin_ns + (uint64_t)(seconds * SECOND_NS));
	chores_refresh(x->desk->ground);
	profiles_write(x, kind, f);
}

/* The difference of what is in use becomes what is in use at the end. */
static void keep_inuse(struct exchange *x)
{
	if (x->window.profile == GROUND_HEAP)
		window_absolute(&x->window, HEAP_ALLOC_OBJECTS, HEAP_FREE_OBJECTS, 4);
	else
		window_absolute(&x->window, MAPPED_ALLOC_OBJECTS, MAPPED_FREE_OBJECTS, 2);
}

static void serve_delta(struct exchange *x, const struct profile_kind *kind,
			const struct profiles_query *q)
{
	static const char suffix[] = "-delta";
	char *filename = arena_alloc(&x->arena, strlen(kind->name) + sizeof(suffix));

	if (filename == NULL)
		return;
	strcpy(filename, kind->name);
	strcat(filename, suffix);
	formats_answer(x, &q->formats, filename);
	if (exchange_is_head(x)) {
		x->reply.length_unknown = true;
		return;
	}
	window_open(&x->window, &x->arena, x->desk->ground, kind->ground);
	if (q->absolute)
		keep_inuse(x);
	profiles_serve_window(x, kind, &q->formats, q->seconds);
}

/* What there is now: of blocks that have lived for min_age_s seconds, unless that is 0. */
static void serve_snapshot(struct exchange *x, const struct profile_kind *kind,
			   const struct profiles_query *q)
{
	chores_refresh(x->desk->ground);
	if (q->min_age_s > 0)
		window_old(&x->window, &x->arena, x->desk->ground, (uint64_t)q->min_age_s);
	else
		window_all(&x->window, x->desk->ground, kind->ground);
	if (x->arena.failed)
		return;
	formats_answer(x, &q->formats, kind->name);
	profiles_write(x, kind, &q->formats);
}

/* False: it is neither, and that is the answer. */
static bool read_inuse(struct exchange *x, bool *absolute)
{
	char word[16];
	ssize_t n = query_find(x->request.query.at, x->request.query.len, "inuse", word,
			       sizeof(word));

	*absolute = n > 0 && strcmp(word, "absolute") == 0;
	if (n <= 0 || *absolute || strcmp(word, "difference") == 0)
		return true;
	exchange_error(x, 400, "invalid value for \"inuse\" - allowed: absolute, difference");
	return false;
}

bool profiles_read_query(struct exchange *x, const struct profile_kind *kind,
			 struct profiles_query *q)
{
	struct request_text query = x->request.query;
	int found, aged = QUERY_ABSENT;

	*q = (struct profiles_query){ .seconds = 0 };
	found = query_int(query.at, query.len, "seconds", &q->seconds);
	if (kind->has_ages)
		aged = query_int(query.at, query.len, "min_age", &q->min_age_s);

	if (found == QUERY_BAD || (found == QUERY_INT && q->seconds <= 0))
		exchange_error(x, 400,
			       "invalid value for \"seconds\" - must be a positive integer");
	else if (found == QUERY_INT && query_int_or(query.at, query.len, "debug", 0) != 0)
		exchange_error(x, 400, "seconds and debug params are incompatible");
	else if (aged == QUERY_BAD || (aged == QUERY_INT && q->min_age_s <= 0))
		exchange_error(x, 400,
			       "invalid value for \"min_age\" - must be a positive integer");
	else if (found == QUERY_INT && aged == QUERY_INT)
		exchange_error(x, 400, "seconds and min_age params are incompatible");
	else
		return formats_read(x, kind, &q->formats) &&
		       (!kind->has_inuse || read_inuse(x, &q->absolute)) &&
		       (kind->labels == NULL || profiles_check_labels(x, kind->labels));
	return false;
}

void profiles_serve_named(struct exchange *x, const struct profile_kind *kind)
{
	struct profiles_query q;

	if (!profiles_read_query(x, kind, &q))
		return;
	if (q.seconds > 0)
		serve_delta(x, kind, &q);
	else
		serve_snapshot(x, kind, &q);
}
