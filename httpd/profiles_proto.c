/* The samples of a window as a profile.proto. */
#include <string.h>

#include "encode/buf.h"
#include "encode/gzip.h"
#include "httpd/foreign.h"
#include "httpd/job.h"
#include "httpd/lock_names.h"
#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/unseen.h"
#include "sampler/os.h"

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

static void add_foreign_lines(const struct foreign *f, struct pprof *pprof)
{
	char text[FOREIGN_LINE_MAX];
	struct buf b = buf_bounded(text, sizeof(text));

	for (unsigned i = 0; f != NULL && foreign_says(f, i, &b); i++) {
		buf_end(&b);
		pprof_comment(pprof, text);
		b.len = 0;
	}
}

/* Returns what may be added to the samples. */
static const struct foreign *add_unseen(struct exchange *x, struct pprof *pprof)
{
	const struct foreign *foreign;
	const struct unseen *u;

	unseen_look(x->desk->ground);
	for (size_t i = 0; (u = unseen_at(i)) != NULL; i++) {
		char text[160];
		struct buf b = buf_bounded(text, sizeof(text));

		buf_string(&b, "heap_unseen: ");
		buf_string(&b, u->symbol);
		buf_string(&b, ": ");
		buf_string(&b, u->says);
		buf_end(&b);
		pprof_comment(pprof, text);
	}
	foreign = foreign_find(x);
	add_foreign_lines(foreign, pprof);
	return foreign;
}

/* What a job needs beside its stack: too large for that. */
struct work {
	frame_t  frame[PROFILES_FRAMES_MAX];
	uint64_t location[PROFILES_FRAMES_MAX];
};

struct output {
	struct exchange           *x;
	const struct profile_kind *kind;
	struct pprof              *pprof;
	struct places             *places;
	struct lock_names         *locks;       /* NULL: nobody asked for labels=lock */
	struct work               *work;
};

#define LABELS_MAX 3

static size_t make_labels(struct output *o, const struct sample *s, struct pprof_label *label)
{
	const struct ground *ground = o->x->desk->ground;
	const char *thread = ground->thread_name(s->key.thread);
	size_t n = 0;

	if (s->key.thread != 0 && *thread != '\0')
		label[n++] = (struct pprof_label){ .key = "thread", .str = thread };
	if (s->key.size != 0 && o->kind->has_locks) {
		uint64_t address = ground->lock(s->key.size);
		const char *name = o->locks != NULL ? lock_names_find(o->locks, address) : NULL;

		if (name != NULL)
			label[n++] = (struct pprof_label){ .key = "lock", .str = name };
		if (address != 0)
			label[n++] = (struct pprof_label){ .key = "lock_addr",
							   .num = (int64_t)address };
	} else if (s->key.size != 0) {
		label[n++] = (struct pprof_label){ .key = "bytes", .num = s->key.size };
	}
	return n;
}

static void add_sample(struct output *o, const struct sample *s)
{
	struct pprof_label label[LABELS_MAX];
	int64_t value[PPROF_VALUES_MAX], any = 0;
	struct profile_stack stack;

	o->kind->values(s->value, value);
	for (unsigned i = 0; i < o->kind->sample_types; i++)
		any |= value[i];
	if (any == 0)
		return;
	profiles_stack(o->x, o->kind, o->places, s->key.stack, o->work->frame, &stack);
	for (unsigned i = 0; i < stack.depth; i++)
		o->work->location[i] = places_location(o->places, stack.frame[i]);
	pprof_add_sample(o->pprof, o->work->location, stack.depth, value, label,
			 make_labels(o, s, label));
}

/* True if it is one of labels=thread,lock. */
static bool wants_label(const struct exchange *x, const char *label)
{
	char value[64], *at = value;

	if (query_find(x->request.query.at, x->request.query.len, "labels", value,
		       sizeof(value)) <= 0)
		return false;
	for (;; at++) {
		size_t n = strcspn(at, ",");

		if (n == strlen(label) && memcmp(at, label, n) == 0)
			return true;
		at += n;
		if (*at == '\0')
			return false;
	}
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

/* No difference, and blocks of any age. */
static bool is_all(const struct window *w)
{
	return w->then == NULL && w->old == NULL;
}

static struct lock_names *name_locks(struct exchange *x, const struct samples *samples)
{
	uint64_t *address = arena_alloc(&x->arena, (samples->count + 1) * sizeof(*address));

	for (uint32_t i = 0; address != NULL && i < samples->count; i++)
		if (samples->sample[i].key.size != 0)
			address[i] = x->desk->ground->lock(samples->sample[i].key.size);
	return address != NULL ? lock_names_make(&x->arena, x->desk->ground, address,
						 samples->count) : NULL;
}

static int kept_apart(const struct exchange *x, const struct profile_kind *kind)
{
	bool by_lock = kind->has_locks && wants_label(x, "lock");

	return (wants_label(x, "thread") ? SAMPLES_BY_THREAD : 0) |
	       (kind->has_sizes || by_lock ? SAMPLES_BY_SIZE : 0);
}

static void add_samples(struct exchange *x, const struct profile_kind *kind, struct pprof *pprof,
			const struct foreign *foreign)
{
	struct output o = { .x = x, .kind = kind, .pprof = pprof };
	int by = kept_apart(x, kind);
	struct samples samples;

	o.places = places_new(&x->arena, x->desk, pprof);
	o.work = arena_alloc(&x->arena, sizeof(*o.work));
	samples_collect(&samples, &x->arena, &x->window, by);
	if (!x->arena.failed)
		profiles_merge(x, kind, o.places, o.work->frame, &samples);
	if (!x->arena.failed && kind->has_locks)
		samples_sort(&samples, &x->arena, LOCKS_DELAY_NS);
	if (!x->arena.failed && kind->has_locks && (by & SAMPLES_BY_SIZE) != 0 && x->desk->names)
		o.locks = name_locks(x, &samples);
	for (uint32_t i = 0; !x->arena.failed && i < samples.count; i++) {
		add_sample(&o, &samples.sample[i]);
		job_breathe();
	}
	if (!x->arena.failed && foreign != NULL && is_all(&x->window))
		foreign_add(x, foreign, pprof, o.places);
}

void profiles_write_proto(struct exchange *x, const struct profile_kind *kind)
{
	struct pprof_head head;
	struct gzip *gzip = gzip_begin(&x->arena, &x->reply.body.sink, GZIP_LEVEL_DEFAULT);
	const struct foreign *foreign = NULL;
	struct body_breather breather;
	struct pprof *pprof;

	if (gzip == NULL)
		return;
	if (kind->ground == GROUND_MAPPED)
		profiles_compare_maps(x);
	fill_head(x, kind, &head);
	body_breather_init(&breather, gzip_sink(gzip));
	pprof = pprof_begin(&x->arena, &breather.sink, &head);
	if (pprof == NULL)
		return;
	add_drops(x, pprof);
	if (kind->ground == GROUND_HEAP)
		foreign = add_unseen(x, pprof);
	add_samples(x, kind, pprof, foreign);
	if (pprof_end(pprof) < 0 || gzip_end(gzip) < 0)
		x->arena.failed = true;
}
