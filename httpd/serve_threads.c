/* goroutine, which is also called threads: what all threads do now, as a profile, as Go's text of
 * it, and as a dump. */
#include "httpd/go_text.h"
#include "httpd/job.h"
#include "httpd/profiles.h"
#include "httpd/serve.h"
#include "httpd/stack_text.h"
#include "httpd/thread_groups.h"
#include "httpd/thread_text.h"
#include "sampler/os.h"

#define NAME        "goroutine"
#define SECOND_NS   1000000000ll
#define SECONDS_MAX 1000000     /* as the other deltas: 11 days */

/* Of a named profile, as far as it is one: there are no rows to count. */
static const struct profile_kind kind = {
	.name = NAME,
	.sample_type = { { NAME, "count" } },
	.sample_types = 1,
	.period_type = { NAME, "count" },
};

/* What was seen, and when; before NULL: it is of one moment. */
struct seen {
	const struct thread_dump *now, *before;
	int64_t                   time_ns, duration_ns;
};

/* --- sample by sample ------------------------------------------------------------------------ */

static void add_group(struct writer *w, const struct thread_group *group)
{
	struct pprof_label label = { .key = "thread", .str = group->name };

	w->form->sample(w, &(struct writer_sample){
		.frame = group->frame, .depth = group->depth, .value = &group->count,
		.label = &label, .labels = group->name != NULL && group->name[0] != '\0' ? 1 : 0,
	});
}

static void add_groups(struct writer *w, const struct seen *seen)
{
	struct thread_groups groups;

	if (!thread_groups_make(w->x, w->places, seen->now, seen->before, &groups))
		return;
	for (uint32_t i = 0; i < groups.count && !w->x->arena.failed; i++) {
		add_group(w, &groups.group[i]);
		job_breathe();
	}
}

static void write_samples(struct exchange *x, const struct formats *f, const struct seen *seen)
{
	struct pprof_head *head = arena_alloc(&x->arena, sizeof(*head));
	struct writer *w;

	if (head == NULL)
		return;
	*head = (struct pprof_head){
		.sample_type = { kind.sample_type[0] },
		.sample_types = kind.sample_types,
		.period_type = kind.period_type,
		.period = 1,
		.time_nanos = seen->time_ns,
		.duration_nanos = seen->duration_ns,
	};
	w = writer_new(x, f, NAME, head);
	if (w == NULL)
		return;
	profiles_add_drops(w);
	add_groups(w, seen);
	if (!x->arena.failed)
		w->form->end(w);
}

/* --- debug=1 --------------------------------------------------------------------------------- */

static void put_rows(struct exchange *x, struct buf *b, struct stack_text *text,
		     const struct thread_groups *g)
{
	for (uint32_t i = 0; i < g->count && !x->arena.failed; i++) {
		const struct thread_group *group = &g->group[i];

		if (!stack_text_set(text, group->frame, group->depth < PROFILES_FRAMES_MAX
				    ? group->depth : PROFILES_FRAMES_MAX))
			return;
		buf_signed(b, group->count);
		stack_text_addresses(text, b);
		if (group->name != NULL && group->name[0] != '\0') {
			buf_string(b, "# labels: {\"thread\":");
			go_text_quoted(b, group->name);
			buf_string(b, "}\n");
		}
		stack_text_frames(text, b);
		job_breathe();
	}
}

static void write_text(struct exchange *x, const struct seen *seen)
{
	struct stack_text *text = stack_text_new(x);
	struct thread_groups groups;
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	if (text == NULL || !thread_groups_make(x, text->places, seen->now, seen->before, &groups))
		return;
	buf_string(&b, NAME " profile: total ");
	buf_signed(&b, groups.threads);
	buf_string(&b, "\n");
	put_rows(x, &b, text, &groups);
	buf_flush(&b);
}

/* --- the requests ---------------------------------------------------------------------------- */

static void write_seen(struct exchange *x, const struct formats *f, const struct seen *seen)
{
	if (f->format != FORMAT_TEXT)
		write_samples(x, f, seen);
	else if (f->debug >= 2)
		thread_text_write(x, seen->now);
	else
		write_text(x, seen);
}

static void serve_delta(struct exchange *x, const struct profiles_query *q)
{
	uint64_t begin_ns = os_monotonic_ns();
	struct thread_dump before, now;
	struct seen seen = { &now, &before, 0, 0 };
	int64_t seconds = q->seconds < SECONDS_MAX ? q->seconds : SECONDS_MAX;

	formats_answer(x, &q->formats, NAME "-delta");
	if (exchange_is_head(x)) {
		x->reply.length_unknown = true;
		return;
	}
	if (!thread_dump_take(x, &before))
		return;
	job_sleep_until(begin_ns + (uint64_t)(seconds * SECOND_NS));
	if (!thread_dump_take(x, &now))
		return;
	seen.time_ns = (int64_t)os_realtime_ns();
	seen.duration_ns = (int64_t)(os_monotonic_ns() - begin_ns);
	write_seen(x, &q->formats, &seen);
}

static void serve_now(struct exchange *x, const struct formats *f)
{
	struct thread_dump now;
	struct seen seen = { &now, NULL, (int64_t)os_realtime_ns(), 0 };

	formats_answer(x, f, NAME);
	if (thread_dump_take(x, &now))
		write_seen(x, f, &seen);
}

void serve_goroutine(struct exchange *x)
{
	struct profiles_query q;

	if (!profiles_read_query(x, &kind, &q))
		return;
	if (q.seconds > 0)
		serve_delta(x, &q);
	else
		serve_now(x, &q.formats);
}
