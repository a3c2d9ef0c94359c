#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/profiles.h"
#include "httpd/serve.h"
#include "httpd/stack_text.h"
#include "sampler/os.h"

static int64_t period(const struct ground_rates *rates)
{
	(void)rates;
	return 1;
}

/* Who lives: Go's threads never end. */
static void values(const int64_t c[SITES_VALUES], int64_t *value)
{
	value[0] = c[BIRTHS_CREATED] - c[BIRTHS_ENDED];
}

/* --- debug=1 --------------------------------------------------------------------------------- */

static void write_row(struct buf *b, const struct stack_text *text, int64_t count)
{
	buf_signed(b, count);
	stack_text_addresses(text, b);
	stack_text_frames(text, b);
}

static void write_text(struct exchange *x);

static const struct profile_kind threadcreate = {
	.name = "threadcreate",
	.ground = GROUND_CREATE,
	.sample_type = { { "threadcreate", "count" } },
	.sample_types = 1,
	.sorted_by = 1,
	.period_type = { "threadcreate", "count" },
	.period = period,
	.values = values,
	.text = write_text,
};

static int64_t count_all(const struct samples *samples)
{
	int64_t sum = 0, count;

	for (uint32_t i = 0; i < samples->count; i++) {
		values(samples->sample[i].value, &count);
		sum += count;
	}
	return sum;
}

static void write_rows(struct exchange *x, struct buf *b, struct stack_text *text,
		       const struct samples *samples)
{
	for (uint32_t i = 0; !x->arena.failed && i < samples->count; i++) {
		const struct sample *s = &samples->sample[i];
		struct profile_stack stack;
		int64_t count;

		values(s->value, &count);
		if (count == 0)
			continue;
		profiles_stack(x, &threadcreate, text->places, s->key.stack, text->frame, &stack);
		if (!stack_text_set(text, stack.frame, stack.depth))
			return;
		write_row(b, text, count);
		job_breathe();
	}
}

static void write_text(struct exchange *x)
{
	struct stack_text *text;
	struct samples samples;
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	text = stack_text_new(x);
	samples_collect(&samples, &x->arena, &x->window, SAMPLES_BY_STACK);
	if (!x->arena.failed)
		profiles_merge(x, &threadcreate, text->places, text->frame, &samples);
	if (x->arena.failed)
		return;
	buf_string(&b, "threadcreate profile: total ");
	buf_signed(&b, count_all(&samples));
	buf_string(&b, "\n");
	profiles_sort(x, &threadcreate, &samples, 0);
	write_rows(x, &b, text, &samples);
	buf_flush(&b);
}

/* --- the request ----------------------------------------------------------------------------- */

#define LOOKS_MAX 10
#define LOOK_NS   10000000u

/* A thread that came without a door is counted when it is met a second time: by then a door has
 * had the time to be first. */
void profiles_count_threads(struct exchange *x)
{
	const struct ground *ground = x->desk->ground;

	chores_find_threads(ground);
	for (unsigned i = 0; i < LOOKS_MAX && ground->meets_threads(); i++) {
		job_sleep_until(os_monotonic_ns() + LOOK_NS);
		chores_find_threads(ground);
	}
}

/* Also at the beginning of a delta. */
void serve_threadcreate(struct exchange *x)
{
	if (!exchange_is_head(x))
		profiles_count_threads(x);
	profiles_serve_named(x, &threadcreate);
}
