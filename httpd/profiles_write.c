/* The samples of a window as an answer. */
#include <string.h>

#include "encode/buf.h"
#include "httpd/counts_text.h"
#include "httpd/foreign.h"
#include "httpd/job.h"
#include "httpd/lock_names.h"
#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/unseen.h"
#include "sampler/os.h"

void profiles_add_drops(struct writer *w)
{
	for (unsigned i = 0; i < COUNT_REASONS; i++) {
		uint64_t n = w->x->desk->ground->dropped((enum count)i);

		if (n != 0)
			w->form->drop(w, count_name((enum count)i), n);
	}
}

static void add_foreign_lines(const struct foreign *f, struct writer *w)
{
	char text[FOREIGN_LINE_MAX];
	struct buf b = buf_bounded(text, sizeof(text));

	for (unsigned i = 0; f != NULL && foreign_says(f, i, &b); i++) {
		buf_end(&b);
		w->form->comment(w, text);
		b.len = 0;
	}
}

/* Returns what may be added to the samples. */
static const struct foreign *add_unseen(struct exchange *x, struct writer *w)
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
		w->form->comment(w, text);
	}
	foreign = foreign_find(x);
	add_foreign_lines(foreign, w);
	return foreign;
}

struct output {
	struct exchange           *x;
	const struct profile_kind *kind;
	struct writer             *writer;
	struct lock_names         *locks;       /* NULL: nobody asked for labels=lock */
	frame_t                   *frame;       /* PROFILES_FRAMES_MAX of them */
};

#define LABELS_MAX 4

static size_t label_lock(struct output *o, const struct sample *s, struct pprof_label *label)
{
	uint64_t address = o->x->desk->ground->lock(s->key.size);
	const char *name = o->locks != NULL ? lock_names_find(o->locks, address) : NULL;
	size_t n = 0;

	if (name != NULL)
		label[n++] = (struct pprof_label){ .key = "lock", .str = name };
	if (address != 0)
		label[n++] = (struct pprof_label){ .key = "lock_addr", .num = (int64_t)address };
	return n;
}

/* Ordered by their keys. */
static size_t make_labels(struct output *o, const struct sample *s, struct pprof_label *label)
{
	const char *thread = o->x->desk->ground->thread_name(s->key.thread);
	const char *state = o->kind->ground == GROUND_WALL ? wall_state_name(s->key.labels) : NULL;
	size_t n = 0;

	if (s->key.size != 0 && o->kind->has_locks)
		n = label_lock(o, s, label);
	else if (s->key.size != 0)
		label[n++] = (struct pprof_label){ .key = "bytes", .num = s->key.size };
	if (state != NULL)
		label[n++] = (struct pprof_label){ .key = "state", .str = state };
	if (s->key.thread != 0 && *thread != '\0')
		label[n++] = (struct pprof_label){ .key = "thread", .str = thread };
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
	profiles_stack(o->x, o->kind, o->writer->places, s->key.stack, o->frame, &stack);
	o->writer->form->sample(o->writer, &(struct writer_sample){
		.frame = stack.frame, .depth = stack.depth, .value = value,
		.label = label, .labels = make_labels(o, s, label),
	});
}

static void fill_head(struct exchange *x, const struct profile_kind *kind, struct pprof_head *head)
{
	const struct window *w = &x->window;
	struct ground_rates rates;

	x->desk->ground->get_rates(&rates);
	*head = (struct pprof_head){
		.sample_types = kind->sample_types,
		.period_type = kind->period_type,
		.period = kind->period_of != NULL ? kind->period_of(x) : kind->period(&rates),
		.default_sample_type = kind->default_sample_type,
		.time_nanos = (int64_t)w->begin_real_ns,
	};
	memcpy(head->sample_type, kind->sample_type, sizeof(head->sample_type));
	if (w->then == NULL)
		return;
	head->duration_nanos =
		(int64_t)((w->now_ns != 0 ? w->now_ns : os_monotonic_ns()) - w->begin_ns);
	/* As Go has it: that of a delta is its end, that of a CPU profile its beginning. */
	if (!kind->is_window)
		head->time_nanos = (int64_t)os_realtime_ns();
}

/* No difference, and blocks of any age. */
static bool is_all(const struct window *w)
{
	return w->then == NULL && w->now == NULL;
}

static struct lock_names *name_locks(struct exchange *x, const struct samples *samples)
{
	uint64_t *address = arena_alloc(&x->arena, (samples->count + 1) * sizeof(*address));

	for (uint32_t i = 0; address != NULL && i < samples->count; i++) {
		if (samples->sample[i].key.size != 0)
			address[i] = x->desk->ground->lock(samples->sample[i].key.size);
		if (i % 256 == 0)
			job_breathe();
	}
	return address != NULL ? lock_names_make(&x->arena, x->desk->ground, address,
						 samples->count) : NULL;
}

static int kept_apart(const struct exchange *x, const struct profile_kind *kind)
{
	bool by_lock = kind->has_locks && profiles_wants_label(x, "lock");

	return (profiles_wants_label(x, "thread") ? SAMPLES_BY_THREAD : 0) |
	       (profiles_wants_label(x, "state") ? SAMPLES_BY_STATE : 0) |
	       (kind->has_sizes || by_lock ? SAMPLES_BY_SIZE : 0);
}

/* In the order in which they are to be written. */
static void collect(struct output *o, const struct formats *f, int by, struct samples *samples)
{
	struct exchange *x = o->x;
	unsigned sorted_by = f->format == FORMAT_FOLDED ? f->value + 1 : o->kind->sorted_by;

	samples_collect(samples, &x->arena, &x->window, by);
	if (!x->arena.failed)
		profiles_merge(x, o->kind, o->writer->places, o->frame, samples);
	if (!x->arena.failed && sorted_by != 0)
		profiles_sort(x, o->kind, samples, sorted_by - 1);
}

static void add_samples(struct output *o, const struct formats *f, const struct foreign *foreign)
{
	struct exchange *x = o->x;
	/* A line of the folded form has no labels. */
	int by = f->format == FORMAT_FOLDED ? SAMPLES_BY_STACK : kept_apart(x, o->kind);
	struct samples samples;

	collect(o, f, by, &samples);
	if (!x->arena.failed && o->kind->has_locks && (by & SAMPLES_BY_SIZE) != 0 &&
	    x->desk->names)
		o->locks = name_locks(x, &samples);
	for (uint32_t i = 0; !x->arena.failed && i < samples.count; i++) {
		add_sample(o, &samples.sample[i]);
		job_breathe();
	}
	if (!x->arena.failed && foreign != NULL && is_all(&x->window))
		foreign_add(foreign, o->writer);
}

static void write_samples(struct exchange *x, const struct profile_kind *kind,
			  const struct formats *f)
{
	const struct foreign *foreign = NULL;
	struct output o = { .x = x, .kind = kind };
	struct pprof_head *head = arena_alloc(&x->arena, sizeof(*head));

	if (head == NULL)
		return;
	fill_head(x, kind, head);
	o.frame = arena_alloc(&x->arena, PROFILES_FRAMES_MAX * sizeof(*o.frame));
	o.writer = writer_new(x, f, kind->name, head);
	if (x->arena.failed)
		return;
	profiles_add_drops(o.writer);
	if (kind->ground == GROUND_HEAP)
		foreign = add_unseen(x, o.writer);
	add_samples(&o, f, foreign);
	o.writer->form->end(o.writer);
}

void profiles_write(struct exchange *x, const struct profile_kind *kind, const struct formats *f)
{
	if (kind->ground == GROUND_MAPPED)
		profiles_compare_maps(x);
	if (kind->ground == GROUND_CREATE)
		profiles_count_threads(x);
	if (f->format != FORMAT_TEXT)
		write_samples(x, kind, f);
	else if (kind->text != NULL)
		kind->text(x);
	else
		counts_text_write(x, kind);
}
