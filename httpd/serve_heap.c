#include "httpd/ages.h"
#include "httpd/job.h"
#include "httpd/memstats.h"
#include "httpd/profiles.h"
#include "httpd/serve.h"
#include "httpd/stack_text.h"

static int64_t period(const struct ground_rates *rates)
{
	return (int64_t)rates->heap_rate;
}

static void values(const int64_t c[SITES_VALUES], int64_t *value)
{
	value[0] = profiles_whole(c[HEAP_ALLOC_OBJECTS]);
	value[1] = c[HEAP_ALLOC_BYTES];
	value[2] = profiles_whole(c[HEAP_ALLOC_OBJECTS] - c[HEAP_FREE_OBJECTS]);
	value[3] = c[HEAP_ALLOC_BYTES] - c[HEAP_FREE_BYTES];
}

/* --- debug=1 --------------------------------------------------------------------------------- */

/* The text has what was sampled; its reader scales by the rate. */
static struct text_heap raw(const int64_t c[SITES_VALUES])
{
	return (struct text_heap){
		.inuse_objects = c[HEAP_ALLOC_RAW] - c[HEAP_FREE_RAW],
		.inuse_bytes = c[HEAP_ALLOC_RAW_BYTES] - c[HEAP_FREE_RAW_BYTES],
		.alloc_objects = c[HEAP_ALLOC_RAW],
		.alloc_bytes = c[HEAP_ALLOC_RAW_BYTES],
	};
}

static void add_total(struct text_heap *total, const struct text_heap *row)
{
	total->inuse_objects += row->inuse_objects;
	total->inuse_bytes += row->inuse_bytes;
	total->alloc_objects += row->alloc_objects;
	total->alloc_bytes += row->alloc_bytes;
}

/* A comment to readers of the text. */
static void write_ages(struct buf *b, const struct ages *ages)
{
	const struct { const char *says; uint32_t age_s; } age[] = {
		{ "# ages: youngest ", ages->youngest_s }, { "s, median ", ages->median_s },
		{ "s, oldest ", ages->oldest_s },
	};

	for (unsigned i = 0; i < COUNT_OF(age); i++) {
		buf_string(b, age[i].says);
		buf_unsigned(b, age[i].age_s);
	}
	buf_string(b, "s\n");
}

static void write_row(struct exchange *x, struct buf *b, const struct profile_kind *kind,
		      struct stack_text *text, const struct sample *s, const struct ages *ages)
{
	struct text_heap row = raw(s->value);
	struct profile_stack stack;

	profiles_stack(x, kind, text->places, s->key.stack, text->frame, &stack);
	if (!stack_text_set(text, stack.frame, stack.depth))
		return;
	text_heap_row(b, &row);
	stack_text_addresses(text, b);
	if (ages != NULL && ages->blocks > 0)
		write_ages(b, ages);
	stack_text_frames(text, b);
}

/* Of the whole heap, also where the rows are not. */
static void write_stats(struct exchange *x, struct buf *b)
{
	const struct ground *ground = x->desk->ground;
	uint64_t now[SITES_VALUES];
	int64_t sum[SITES_VALUES] = { 0 }, value[PPROF_VALUES_MAX];
	struct memstats_heap whole;
	struct site_key key;

	for (uint32_t row = 1, end = ground->end(GROUND_HEAP); row < end; row++) {
		bool there = ground->read(GROUND_HEAP, row, &key, now);

		for (unsigned i = 0; there && i < SITES_VALUES; i++)
			sum[i] += (int64_t)now[i];
		if (row % 256 == 0)
			job_breathe();
	}
	values(sum, value);
	whole = (struct memstats_heap){ value[0], value[1], value[2], value[3] };
	memstats_write(b, &whole);
}

static void write_text(struct exchange *x);

#define HEAP_KIND(kind_name, default_type)                                                     \
	{                                                                                      \
		.name = (kind_name),                                                           \
		.ground = GROUND_HEAP,                                                         \
		.sample_type = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },     \
				 { "inuse_objects", "count" }, { "inuse_space", "bytes" } },   \
		.sample_types = 4,                                                             \
		.period_type = { "space", "bytes" },                                           \
		.default_sample_type = (default_type),                                         \
		.hides_allocator = true,                                                       \
		.has_ages = true,                                                              \
		.has_inuse = true,                                                             \
		.any_debug_is_text = true,                                                     \
		.has_sizes = true,                                                             \
		.labels = "thread",                                                            \
		.period = period,                                                              \
		.values = values,                                                              \
		.text = write_text,                                                            \
	}

static const struct profile_kind heap = HEAP_KIND("heap", NULL);
static const struct profile_kind allocs = HEAP_KIND("allocs", "alloc_space");

static void write_rows(struct exchange *x, struct buf *b, struct samples *samples)
{
	struct stack_text *text = stack_text_new(x);
	const struct ages *ages = NULL;

	if (!x->arena.failed)
		profiles_merge(x, &heap, text->places, text->frame, samples);
	/* Those of a delta would be of all blocks of its rows. */
	if (!x->arena.failed && x->window.then == NULL)
		ages = ages_of(&x->arena, &x->window, samples);
	for (uint32_t i = 0; !x->arena.failed && i < samples->count; i++) {
		write_row(x, b, &heap, text, &samples->sample[i],
			  ages != NULL ? &ages[i] : NULL);
		job_breathe();
	}
}

static void write_text(struct exchange *x)
{
	struct ground_rates rates;
	struct samples samples;
	struct text_heap total = { 0, 0, 0, 0 };
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	x->desk->ground->get_rates(&rates);
	samples_collect(&samples, &x->arena, &x->window, SAMPLES_BY_SIZE);
	if (x->arena.failed)
		return;
	for (uint32_t i = 0; i < samples.count; i++) {
		struct text_heap row = raw(samples.sample[i].value);

		add_total(&total, &row);
		if (i % 256 == 0)
			job_breathe();
	}
	text_heap_head(&b, &total, rates.heap_rate);
	write_rows(x, &b, &samples);
	write_stats(x, &b);
	buf_flush(&b);
}

void serve_heap(struct exchange *x)
{
	profiles_serve_named(x, &heap);
}

void serve_allocs(struct exchange *x)
{
	profiles_serve_named(x, &allocs);
}

void serve_delta_heap(struct exchange *x)
{
	profiles_serve_since(x, &heap, "heap.pprof.gz");
}
