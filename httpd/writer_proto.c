/* A profile.proto, in gzip. */
#include "encode/buf.h"
#include "encode/gzip.h"
#include "httpd/profiles.h"
#include "httpd/writer.h"

struct proto {
	struct writer        base;
	struct gzip         *gzip;
	struct body_breather breather;
	struct pprof        *pprof;
	uint64_t             location[PROFILES_FRAMES_MAX];
};

static void comment(struct writer *w, const char *text)
{
	pprof_comment(((struct proto *)w)->pprof, text);
}

static void drop(struct writer *w, const char *reason, uint64_t n)
{
	char text[128];
	struct buf b = buf_bounded(text, sizeof(text));

	buf_string(&b, reason);
	buf_string(&b, ": ");
	buf_unsigned(&b, n);
	buf_end(&b);
	comment(w, text);
}

static void sample(struct writer *w, const struct writer_sample *s)
{
	struct proto *p = (struct proto *)w;
	unsigned depth = 0;

	for (; depth < s->depth && depth < PROFILES_FRAMES_MAX; depth++)
		p->location[depth] = places_location(w->places, s->frame[depth]);
	pprof_add_sample(p->pprof, p->location, depth, s->value, s->label, s->labels);
}

static void end(struct writer *w)
{
	struct proto *p = (struct proto *)w;

	if (pprof_end(p->pprof) < 0 || gzip_end(p->gzip) < 0)
		w->x->arena.failed = true;
}

static const struct writer_form form = { drop, comment, sample, end };

struct writer *writer_proto_new(struct exchange *x, const struct pprof_head *head)
{
	struct proto *p = arena_alloc(&x->arena, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->gzip = gzip_begin(&x->arena, &x->reply.body.sink, GZIP_LEVEL_DEFAULT);
	if (p->gzip == NULL)
		return NULL;
	body_breather_init(&p->breather, gzip_sink(p->gzip));
	p->pprof = pprof_begin(&x->arena, &p->breather.sink, head);
	if (p->pprof == NULL)
		return NULL;
	p->base = (struct writer){ &form, x, places_new(&x->arena, x->desk, p->pprof) };
	return p->base.places != NULL ? &p->base : NULL;
}
