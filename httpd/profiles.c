#include "httpd/profiles.h"

#include <string.h>

#include "encode/buf.h"
#include "encode/gzip.h"
#include "httpd/job.h"
#include "httpd/query.h"
#include "httpd/unseen.h"
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

/* --- protobuf -------------------------------------------------------------------------------- */

static void add_drops(struct exchange *x, struct pprof *pprof)
{
	for (unsigned i = 0; i < COUNT_REASONS; i++) {
		uint64_t n = x->desk->ground->dropped((enum count)i);
		char text[128];
		struct buf b = buf_bounded(text, sizeof(text));

		if (n == 0)
			continue;
		buf_string(&b, count_name((enum count)i));
		buf_string(&b, ": ");
		buf_unsigned(&b, n);
		buf_end(&b);
		pprof_comment(pprof, text);
	}
}

static void add_unseen(struct exchange *x, struct pprof *pprof)
{
	const struct unseen *u;

	unseen_look(x->desk->ground);
	for (size_t i = 0; (u = unseen_at(i)) != NULL; i++) {
		char text[128];
		struct buf b = buf_bounded(text, sizeof(text));

		buf_string(&b, "heap_unseen: ");
		buf_string(&b, u->symbol);
		buf_string(&b, ": ");
		buf_string(&b, u->says);
		buf_end(&b);
		pprof_comment(pprof, text);
	}
}

/* What a job needs beside its stack: too large for that. */
struct work {
	frame_t  frame[PROFILES_FRAMES_MAX];
	uint64_t location[PROFILES_FRAMES_MAX];
};

static void add_sample(struct exchange *x, const struct profile_kind *kind, struct pprof *pprof,
		       struct places *places, struct work *work, const struct sample *s)
{
	const char *thread = x->desk->ground->thread_name(s->key.thread);
	struct pprof_label label[2];
	size_t labels = 0;
	int64_t value[PPROF_VALUES_MAX], any = 0;
	struct profile_stack stack;

	kind->values(s->value, value);
	for (unsigned i = 0; i < kind->sample_types; i++)
		any |= value[i];
	if (any == 0)
		return;
	profiles_stack(x, kind, places, s->key.stack, work->frame, &stack);
	for (unsigned i = 0; i < stack.depth; i++)
		work->location[i] = places_location(places, stack.frame[i]);
	if (s->key.thread != 0 && *thread != '\0')
		label[labels++] = (struct pprof_label){ .key = "thread", .str = thread };
	if (s->key.size != 0)
		label[labels++] = (struct pprof_label){ .key = "bytes", .num = s->key.size };
	pprof_add_sample(pprof, work->location, stack.depth, value, label, labels);
}

static bool wants_thread_label(const struct exchange *x)
{
	char value[64];

	return query_find(x->request.query.at, x->request.query.len, "labels", value,
			  sizeof(value)) > 0 &&
	       strcmp(value, "thread") == 0;
}

static void fill_head(struct exchange *x, const struct profile_kind *kind, struct pprof_head *head)
{
	const struct window *w = &x->window;
	struct ground_rates rates;

	x->desk->ground->get_rates(&rates);
	*head = (struct pprof_head){
		.sample_types = kind->sample_types,
		.period_type = kind->period_type,
		.period = kind->period(&rates),
		.default_sample_type = kind->default_sample_type,
		.time_nanos = (int64_t)w->begin_real_ns,
	};
	memcpy(head->sample_type, kind->sample_type, sizeof(head->sample_type));
	if (w->then != NULL)
		head->duration_nanos = (int64_t)(os_monotonic_ns() - w->begin_ns);
}

static void add_samples(struct exchange *x, const struct profile_kind *kind, struct pprof *pprof)
{
	struct places *places = places_new(&x->arena, x->desk, pprof);
	struct work *work = arena_alloc(&x->arena, sizeof(*work));
	struct samples samples;

	samples_collect(&samples, &x->arena, &x->window,
			(wants_thread_label(x) ? SAMPLES_BY_THREAD : 0) |
				(kind->has_sizes ? SAMPLES_BY_SIZE : 0));
	if (!x->arena.failed)
		profiles_merge(x, kind, places, work->frame, &samples);
	for (uint32_t i = 0; !x->arena.failed && i < samples.count; i++) {
		add_sample(x, kind, pprof, places, work, &samples.sample[i]);
		job_breathe();
	}
}

static void write_proto(struct exchange *x, const struct profile_kind *kind)
{
	struct pprof_head head;
	struct gzip *gzip = gzip_begin(&x->arena, &x->reply.body.sink, GZIP_LEVEL_DEFAULT);
	struct body_breather breather;
	struct pprof *pprof;

	if (gzip == NULL)
		return;
	if (kind->ground == GROUND_MAPPED)
		x->desk->ground->compare_maps();
	fill_head(x, kind, &head);
	body_breather_init(&breather, gzip_sink(gzip));
	pprof = pprof_begin(&x->arena, &breather.sink, &head);
	if (pprof == NULL)
		return;
	add_drops(x, pprof);
	if (kind->ground == GROUND_HEAP)
		add_unseen(x, pprof);
	add_samples(x, kind, pprof);
	if (pprof_end(pprof) < 0 || gzip_end(gzip) < 0)
		x->arena.failed = true;
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
	write_proto(x, kind);
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
		write_proto(x, kind);
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
