/* One object, a sample a line:
 *
 *     {"version": 1, "profile": "heap", "time_nanos": 1700000000000000000, "duration_nanos": 0,
 *     "period_type": {"type": "space", "unit": "bytes"}, "period": 524288,
 *     "sample_types": [{"type": "alloc_objects", "unit": "count"}, ...],
 *     "default_sample_type": "inuse_space",
 *     "drops": {"stack_truncated": 3},
 *     "samples": [
 *     {"values": [5, 500, 3, 300], "labels": {"bytes": 48}, "stack": ["work", "main"]}],
 *     "mappings": [
 *     {"start": "0x401000", "limit": "0x402000", "offset": "0x1000", "file": "/bin/app",
 *      "build_id": "00ff"}],
 *     "comments": []}
 *
 * A stack has its leaf first; a frame is the name of its function, or without one its address as
 * "0x401234", of the mapping around it.  Members may be added; those that are there stay.
 * Numbers are 64-bit integers.  The program is the first mapping; what is gone is there if a frame
 * of it is. */
#include <string.h>

#include "encode/json.h"
#include "httpd/job.h"
#include "httpd/writer.h"

enum stage { DROPS, SAMPLES };

struct kept_comment {
	struct kept_comment *next;
	const char          *text;
};

struct json {
	struct writer         base;
	const struct pprof_head *head;
	enum stage            stage;
	bool                  any;              /* of the list that is being written */
	struct kept_comment  *first, **last;
	bool                 *met;              /* by number of a module: a frame of it */
	uint32_t              modules;
	struct buf            b;
	char                  bytes[4096];
};

static struct json *json_of(struct writer *w)
{
	return (struct json *)w;
}

static void put_hex(struct buf *b, uint64_t v)
{
	buf_string(b, "\"0x");
	buf_hex(b, v, 1);
	buf_string(b, "\"");
}

/* In front of each but the first. */
static void next(struct json *j, const char *between)
{
	buf_string(&j->b, j->any ? between : "");
	j->any = true;
}

static void put_value_type(struct buf *b, const struct pprof_value_type *type)
{
	buf_string(b, "{\"type\": ");
	json_string(b, type->type);
	buf_string(b, ", \"unit\": ");
	json_string(b, type->unit);
	buf_string(b, "}");
}

static void put_number(struct buf *b, const char *before, int64_t v)
{
	buf_string(b, before);
	buf_signed(b, v);
}

static void begin(struct json *j, const char *name, const struct pprof_head *head)
{
	const char *chosen = head->default_sample_type;
	struct buf *b = &j->b;

	if (chosen == NULL)
		chosen = head->sample_type[head->sample_types - 1].type;
	buf_string(b, "{\"version\": 1, \"profile\": ");
	json_string(b, name);
	put_number(b, ", \"time_nanos\": ", head->time_nanos);
	put_number(b, ", \"duration_nanos\": ", head->duration_nanos);
	buf_string(b, ",\n\"period_type\": ");
	put_value_type(b, &head->period_type);
	put_number(b, ", \"period\": ", head->period);
	buf_string(b, ",\n\"sample_types\": [");
	for (unsigned i = 0; i < head->sample_types; i++) {
		buf_string(b, i > 0 ? ", " : "");
		put_value_type(b, &head->sample_type[i]);
	}
	buf_string(b, "],\n\"default_sample_type\": ");
	json_string(b, chosen);
	buf_string(b, ",\n\"drops\": {");
}

static void drop(struct writer *w, const char *reason, uint64_t n)
{
	struct json *j = json_of(w);

	next(j, ", ");
	json_string(&j->b, reason);
	put_number(&j->b, ": ", (int64_t)n);
}

/* At the end of all: some are known only then. */
static void comment(struct writer *w, const char *text)
{
	struct kept_comment *c = arena_alloc(&w->x->arena, sizeof(*c));
	struct json *j = json_of(w);

	if (c == NULL)
		return;
	c->text = arena_copy_string(&w->x->arena, text, strlen(text));
	if (c->text == NULL)
		return;
	*j->last = c;
	j->last = &c->next;
}

/* --- mappings -------------------------------------------------------------------------------- */

static void put_mapping(struct json *j, const struct module *m)
{
	struct buf *b = &j->b;

	next(j, ",\n");
	buf_string(b, "{\"start\": ");
	put_hex(b, m->start);
	buf_string(b, ", \"limit\": ");
	put_hex(b, m->limit);
	buf_string(b, ", \"offset\": ");
	put_hex(b, m->offset);
	buf_string(b, ", \"file\": ");
	json_string(b, m->path);
	buf_string(b, ", \"build_id\": \"");
	for (unsigned i = 0; i < m->build_id_len; i++)
		buf_hex(b, m->build_id[i], 2);
	buf_string(b, "\"}");
}

static void put_mappings(struct json *j)
{
	const struct ground *ground = j->base.x->desk->ground;

	j->any = false;
	buf_string(&j->b, "],\n\"mappings\": [\n");
	for (uint32_t i = 0; i < j->modules; i++)
		if (ground->module(i)->main)
			put_mapping(j, ground->module(i));
	for (uint32_t i = 0; i < j->modules; i++) {
		const struct module *m = ground->module(i);

		if (!m->main && (m->alive || j->met[i]))
			put_mapping(j, m);
		if (i % 256 == 0)
			job_breathe();
	}
}

/* --- samples --------------------------------------------------------------------------------- */

static void put_labels(struct buf *b, const struct writer_sample *s)
{
	for (size_t i = 0; i < s->labels; i++) {
		buf_string(b, i > 0 ? ", " : "");
		json_string(b, s->label[i].key);
		buf_string(b, ": ");
		if (s->label[i].str != NULL)
			json_string(b, s->label[i].str);
		else
			buf_signed(b, s->label[i].num);
	}
}

static void meet(struct json *j, const struct module *m)
{
	size_t i = (size_t)(m - j->base.x->desk->ground->module(0));

	if (i < j->modules)
		j->met[i] = true;
}

static void put_frame(struct json *j, frame_t frame)
{
	const struct place *place = places_find(j->base.places, frame);

	if (place != NULL && place->function.name != NULL)
		json_string(&j->b, place->function.name);
	else
		put_hex(&j->b, frame_pc(frame));
	if (place != NULL && place->module != NULL)
		meet(j, place->module);
}

static void begin_samples(struct json *j)
{
	if (j->stage == SAMPLES)
		return;
	j->any = false;
	buf_string(&j->b, "},\n\"samples\": [\n");
	j->stage = SAMPLES;
}

static void sample(struct writer *w, const struct writer_sample *s)
{
	struct json *j = json_of(w);

	begin_samples(j);
	next(j, ",\n");
	for (unsigned i = 0; i < j->head->sample_types; i++)
		put_number(&j->b, i == 0 ? "{\"values\": [" : ", ", s->value[i]);
	buf_string(&j->b, "], \"labels\": {");
	put_labels(&j->b, s);
	buf_string(&j->b, "}, \"stack\": [");
	for (unsigned i = 0; i < s->depth; i++) {
		buf_string(&j->b, i > 0 ? ", " : "");
		put_frame(j, s->frame[i]);
	}
	buf_string(&j->b, "]}");
}

static void end(struct writer *w)
{
	struct json *j = json_of(w);

	begin_samples(j);
	put_mappings(j);
	j->any = false;
	buf_string(&j->b, "],\n\"comments\": [\n");
	for (const struct kept_comment *c = j->first; c != NULL; c = c->next) {
		next(j, ",\n");
		json_string(&j->b, c->text);
	}
	buf_string(&j->b, "]}\n");
	buf_flush(&j->b);
}

static const struct writer_form form = { drop, comment, sample, end };

struct writer *writer_json_new(struct exchange *x, const char *name, const struct pprof_head *head)
{
	struct json *j = arena_alloc(&x->arena, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->head = head;
	j->last = &j->first;
	j->b = buf_to_sink(j->bytes, sizeof(j->bytes), &x->reply.body.sink);
	j->base = (struct writer){ &form, x, places_new(&x->arena, x->desk, NULL) };
	j->modules = x->desk->ground->modules();
	j->met = arena_alloc(&x->arena, j->modules * sizeof(*j->met));
	if (j->base.places == NULL || j->met == NULL)
		return NULL;
	begin(j, name, head);
	return &j->base;
}
