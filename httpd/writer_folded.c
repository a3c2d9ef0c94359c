/* A line for each stack, root first: what flamegraph.pl, inferno and speedscope read.
 *
 *     main;serve;read_request 42
 *
 * Within a name ';' is written as ',', a control character as '?'.  Labels are not shown, and
 * values of 0 are left out; below 0 is what a delta has less of (readers pass such lines over). */
#include "encode/text.h"
#include "httpd/writer.h"

struct folded {
	struct writer base;
	unsigned      value;
	struct buf    b;
	char          bytes[4096];
};

static void put_frame(struct folded *f, frame_t frame)
{
	const struct place *place = places_find(f->base.places, frame);

	if (place != NULL && place->function.name != NULL) {
		text_name_without(&f->b, place->function.name, ';', ',');
	} else {
		buf_string(&f->b, "0x");
		buf_hex(&f->b, frame_pc(frame), 1);
	}
}

static void sample(struct writer *w, const struct writer_sample *s)
{
	struct folded *f = (struct folded *)w;

	if (s->value[f->value] == 0)
		return;
	if (s->depth == 0)
		buf_string(&f->b, "[no stack]");
	for (unsigned i = s->depth; i-- > 0;) {
		put_frame(f, s->frame[i]);
		if (i > 0)
			buf_char(&f->b, ';');
	}
	buf_char(&f->b, ' ');
	buf_signed(&f->b, s->value[f->value]);
	buf_char(&f->b, '\n');
}

/* A line can say neither. */
static void drop(struct writer *w, const char *reason, uint64_t n)
{
	(void)w;
	(void)reason;
	(void)n;
}

static void comment(struct writer *w, const char *text)
{
	(void)w;
	(void)text;
}

static void end(struct writer *w)
{
	buf_flush(&((struct folded *)w)->b);
}

static const struct writer_form form = { drop, comment, sample, end };

struct writer *writer_folded_new(struct exchange *x, const struct formats *f)
{
	struct folded *folded = arena_alloc(&x->arena, sizeof(*folded));

	if (folded == NULL)
		return NULL;
	folded->value = f->value;
	folded->b = buf_to_sink(folded->bytes, sizeof(folded->bytes), &x->reply.body.sink);
	folded->base = (struct writer){ &form, x, places_new(&x->arena, x->desk, NULL) };
	return folded->base.places != NULL ? &folded->base : NULL;
}
