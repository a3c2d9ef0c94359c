#include "httpd/job.h"
#include "httpd/profiles.h"
#include "httpd/serve.h"
#include "httpd/stack_text.h"
#include "sampler/os.h"

/* Nothing is sampled. */
static int64_t period(const struct ground_rates *rates)
{
	(void)rates;
	return 1;
}

static void values(const int64_t c[SITES_VALUES], int64_t *value)
{
	value[0] = c[MAPPED_ALLOC_OBJECTS] + c[MAPPED_LOST_OBJECTS];
	value[1] = c[MAPPED_ALLOC_BYTES] + c[MAPPED_LOST_BYTES];
	value[2] = c[MAPPED_ALLOC_OBJECTS] - c[MAPPED_FREE_OBJECTS];
	value[3] = c[MAPPED_ALLOC_BYTES] - c[MAPPED_FREE_BYTES];
}

/* --- debug=1: as the heap's ------------------------------------------------------------------ */

static struct text_heap row_of(const int64_t c[SITES_VALUES])
{
	int64_t value[PPROF_VALUES_MAX];

	values(c, value);
	return (struct text_heap){ .alloc_objects = value[0], .alloc_bytes = value[1],
				   .inuse_objects = value[2], .inuse_bytes = value[3] };
}

static void write_row(struct exchange *x, struct buf *b, const struct profile_kind *kind,
		      struct stack_text *text, const struct sample *s)
{
	struct text_heap row = row_of(s->value);
	struct profile_stack stack;

	profiles_stack(x, kind, text->places, s->key.stack, text->frame, &stack);
	if (!stack_text_set(text, stack.frame, stack.depth))
		return;
	text_heap_row(b, &row);
	stack_text_addresses(text, b);
	stack_text_frames(text, b);
}

static void write_text(struct exchange *x);

static const struct profile_kind mapped = {
	.name = "mmap",
	.ground = GROUND_MAPPED,
	.sample_type = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
			 { "inuse_objects", "count" }, { "inuse_space", "bytes" } },
	.sample_types = 4,
	.period_type = { "space", "bytes" },
	.has_inuse = true,
	.any_debug_is_text = true,
	.labels = "thread",
	.period = period,
	.values = values,
	.text = write_text,
};

static void write_text(struct exchange *x)
{
	struct stack_text *text = stack_text_new(x);
	struct samples samples;
	struct text_heap total = { 0, 0, 0, 0 };
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	samples_collect(&samples, &x->arena, &x->window, SAMPLES_BY_STACK);
	if (!x->arena.failed)
		profiles_merge(x, &mapped, text->places, text->frame, &samples);
	for (uint32_t i = 0; !x->arena.failed && i < samples.count; i++) {
		struct text_heap row = row_of(samples.sample[i].value);

		total.inuse_objects += row.inuse_objects;
		total.inuse_bytes += row.inuse_bytes;
		total.alloc_objects += row.alloc_objects;
		total.alloc_bytes += row.alloc_bytes;
		if (i % 256 == 0)
			job_breathe();
	}
	text_heap_head(&b, &total, 1);
	for (uint32_t i = 0; !x->arena.failed && i < samples.count; i++) {
		write_row(x, &b, &mapped, text, &samples.sample[i]);
		job_breathe();
	}
	buf_flush(&b);
}

void profiles_compare_maps(struct exchange *x)
{
	uint64_t ticket = 0, wait_ns;

	while ((wait_ns = x->desk->ground->compare_maps(&ticket)) != 0)
		if (wait_ns > 1)
			job_sleep_until(os_monotonic_ns() + wait_ns);
		else
			job_breathe();
}

void serve_mmap(struct exchange *x)
{
	/* Also the beginning of a delta. */
	profiles_compare_maps(x);
	profiles_serve_named(x, &mapped);
}
