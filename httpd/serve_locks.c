/* Who waited (block), and who held the lock meanwhile (mutex). */
#include <string.h>

#include "httpd/job.h"
#include "httpd/pairs_text.h"
#include "httpd/profiles.h"
#include "httpd/query.h"
#include "httpd/serve.h"
#include "httpd/stack_text.h"

/* All is scaled where it is recorded. */
static int64_t period(const struct ground_rates *rates)
{
	(void)rates;
	return 1;
}

enum { CONTENTIONS, DELAY };            /* of the values */

static void values(const int64_t c[SITES_VALUES], int64_t *value)
{
	value[CONTENTIONS] = profiles_whole(c[LOCKS_CONTENTIONS]);
	value[DELAY] = c[LOCKS_DELAY_NS];
}

/* --- debug=1 --------------------------------------------------------------------------------- */

/* Go's cycles are our nanoseconds.  A reader multiplies both values of a mutex by the period that
 * the text says; Go says its fraction there, and so counts twice. */
static void write_rows(struct exchange *x, const struct profile_kind *kind, struct buf *b)
{
	struct stack_text *text = stack_text_new(x);
	struct profile_stack stack;
	struct samples samples;
	int64_t value[PPROF_VALUES_MAX];

	samples_collect(&samples, &x->arena, &x->window, SAMPLES_BY_STACK);
	if (!x->arena.failed)
		profiles_merge(x, kind, text->places, text->frame, &samples);
	if (!x->arena.failed)
		profiles_sort(x, kind, &samples, DELAY);
	for (uint32_t i = 0; !x->arena.failed && i < samples.count; i++) {
		const struct sample *s = &samples.sample[i];

		profiles_stack(x, kind, text->places, s->key.stack, text->frame, &stack);
		if (!stack_text_set(text, stack.frame, stack.depth))
			return;
		values(s->value, value);
		buf_signed(b, value[DELAY]);
		buf_string(b, " ");
		buf_signed(b, value[CONTENTIONS]);
		stack_text_addresses(text, b);
		stack_text_frames(text, b);
		job_breathe();
	}
}

static void write_text(struct exchange *x, const struct profile_kind *kind, const char *head)
{
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	buf_string(&b, head);
	write_rows(x, kind, &b);
	buf_flush(&b);
}

static void block_text(struct exchange *x);
static void mutex_text(struct exchange *x);

#define LOCKS_KIND(kind_name, kind_ground, kind_text)                                          \
	{                                                                                      \
		.name = (kind_name),                                                           \
		.ground = (kind_ground),                                                       \
		.sample_type = { { "contentions", "count" }, { "delay", "nanoseconds" } },     \
		.sample_types = 2,                                                             \
		.period_type = { "contentions", "count" },                                     \
		.has_locks = true,                                                             \
		.sorted_by = DELAY + 1,                                                        \
		.labels = "thread, lock",                                                      \
		.period = period,                                                              \
		.values = values,                                                              \
		.text = (kind_text),                                                           \
	}

static const struct profile_kind block = LOCKS_KIND("block", GROUND_BLOCK, block_text);
static const struct profile_kind mutex = LOCKS_KIND("mutex", GROUND_MUTEX, mutex_text);

static void block_text(struct exchange *x)
{
	write_text(x, &block, "--- contention:\ncycles/second=1000000000\n");
}

static void mutex_text(struct exchange *x)
{
	write_text(x, &mutex, "--- mutex:\ncycles/second=1000000000\nsampling period=1\n");
}

/* --- the requests ---------------------------------------------------------------------------- */

/* Only a text. */
static void serve_pairs(struct exchange *x, const struct profile_kind *kind)
{
	struct request_text query = x->request.query;
	struct formats f;
	int64_t seconds;

	if (query_int(query.at, query.len, "seconds", &seconds) != QUERY_ABSENT)
		exchange_error(x, 400, "seconds and view params are incompatible");
	else if (!formats_read(x, kind, &f))
		return;
	else if (f.format == FORMAT_FOLDED || f.format == FORMAT_JSON)
		exchange_error(x, 400, "format and view params are incompatible - allowed: "
				       "format=text");
	else
		pairs_text_write(x);
}

static void serve(struct exchange *x, const struct profile_kind *kind)
{
	struct request_text query = x->request.query;
	char view[8];

	if (query_find(query.at, query.len, "view", view, sizeof(view)) <= 0)
		profiles_serve_named(x, kind);
	else if (strcmp(view, "pairs") != 0)
		exchange_error(x, 400, "invalid value for \"view\" - must be pairs");
	else
		serve_pairs(x, kind);
}

void serve_block(struct exchange *x)
{
	serve(x, &block);
}

void serve_mutex(struct exchange *x)
{
	serve(x, &mutex);
}

void serve_delta_block(struct exchange *x)
{
	profiles_serve_since(x, &block, "block.pprof.gz");
}

void serve_delta_mutex(struct exchange *x)
{
	profiles_serve_since(x, &mutex, "mutex.pprof.gz");
}
