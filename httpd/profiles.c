#include "httpd/profiles.h"

#include <string.h>

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

/* --- the requests ---------------------------------------------------------------------------- */

void profiles_serve_window(struct exchange *x, const struct profile_kind *kind, int64_t seconds,
			   const char *filename)
{
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	exchange_file(x, filename);
	job_sleep_until(x->window.begin_ns + (uint64_t)(seconds * SECOND_NS));
	x->desk->ground->refresh();
	profiles_write_proto(x, kind);
}

static void serve_delta(struct exchange *x, const struct profile_kind *kind, int64_t seconds)
{
	static const char suffix[] = "-delta";
	char *filename = arena_alloc(&x->arena, strlen(kind->name) + sizeof(suffix));

	if (filename == NULL)
		return;
	strcpy(filename, kind->name);
	strcat(filename, suffix);
	if (exchange_is_head(x)) {
		exchange_file(x, filename);
		x->reply.length_unknown = true;
		return;
	}
	window_open(&x->window, &x->arena, x->desk->ground, kind->ground);
	profiles_serve_window(x, kind, seconds, filename);
}

/* What there is now: of blocks that have lived for min_age_s seconds, unless that is 0. */
static void serve_snapshot(struct exchange *x, const struct profile_kind *kind, int64_t min_age_s,
			   bool text)
{
	x->desk->ground->refresh();
	if (min_age_s > 0)
		window_old(&x->window, &x->arena, x->desk->ground, (uint64_t)min_age_s);
	else
		window_all(&x->window, x->desk->ground, kind->ground);
	if (x->arena.failed)
		return;
	if (text) {
		exchange_text(x);
		kind->text(x);
	} else {
		exchange_file(x, kind->name);
		profiles_write_proto(x, kind);
	}
}

void profiles_serve_named(struct exchange *x, const struct profile_kind *kind)
{
	struct request_text query = x->request.query;
	int64_t seconds = 0, min_age = 0, debug = query_int_or(query.at, query.len, "debug", 0);
	int found = query_int(query.at, query.len, "seconds", &seconds), aged = QUERY_ABSENT;

	if (kind->has_ages)
		aged = query_int(query.at, query.len, "min_age", &min_age);

	if (found == QUERY_BAD || (found == QUERY_INT && seconds <= 0)) {
		exchange_error(x, 400,
			       "invalid value for \"seconds\" - must be a positive integer");
	} else if (found == QUERY_INT && debug != 0) {
		exchange_error(x, 400, "seconds and debug params are incompatible");
	} else if (aged == QUERY_BAD || (aged == QUERY_INT && min_age <= 0)) {
		exchange_error(x, 400,
			       "invalid value for \"min_age\" - must be a positive integer");
	} else if (found == QUERY_INT && aged == QUERY_INT) {
		exchange_error(x, 400, "seconds and min_age params are incompatible");
	} else if (found == QUERY_INT) {
		serve_delta(x, kind, seconds);
	} else {
		serve_snapshot(x, kind, min_age, debug != 0);
	}
}
