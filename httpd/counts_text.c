#include "httpd/counts_text.h"

#include <string.h>

#include "encode/intern.h"
#include "httpd/job.h"
#include "httpd/order.h"
#include "httpd/stack_text.h"
#include "sampler/os.h"

enum { COUNT, TIME };                   /* of the values */

struct function {
	const char *name;
	int64_t     flat_ns, cum_ns;
	uint32_t    seen;               /* by this sample, + 1: recursion counts once */
};

struct counts {
	struct exchange           *x;
	const struct profile_kind *kind;
	struct stack_text         *text;
	struct samples             samples;
	int64_t                    count, ns;   /* of all */
	struct intern              id;          /* of a function by its name */
	struct function           *function;
	uint32_t                   functions, room;
};

/* --- summing up ------------------------------------------------------------------------------ */

static struct function *function_of(struct counts *c, const char *name)
{
	size_t n = strlen(name);
	uint64_t id;

	if (intern_find(&c->id, name, n, &id))
		return &c->function[id];
	if (c->functions == c->room) {
		uint32_t room = c->room == 0 ? 256 : 2 * c->room;
		struct function *more = arena_alloc(&c->x->arena, room * sizeof(*more));

		if (more == NULL)
			return NULL;
		if (c->functions > 0)
			memcpy(more, c->function, c->functions * sizeof(*more));
		c->function = more;
		c->room = room;
	}
	if (!intern_add(&c->id, name, n, c->functions))
		return NULL;
	c->function[c->functions].name = name;
	return &c->function[c->functions++];
}

static void add_sample(struct counts *c, uint32_t i)
{
	const struct sample *s = &c->samples.sample[i];
	int64_t value[PPROF_VALUES_MAX];
	struct profile_stack stack;

	c->kind->values(s->value, value);
	c->count += value[COUNT];
	c->ns += value[TIME];
	profiles_stack(c->x, c->kind, c->text->places, s->key.stack, c->text->frame, &stack);
	for (unsigned k = 0; k < stack.depth; k++) {
		const struct place *place = places_find(c->text->places, stack.frame[k]);
		struct function *f = NULL;

		if (place != NULL && place->function.name != NULL)
			f = function_of(c, place->function.name);
		if (f == NULL)
			continue;
		f->flat_ns += k == 0 ? value[TIME] : 0;
		f->cum_ns += f->seen != i + 1 ? value[TIME] : 0;
		f->seen = i + 1;
	}
}

/* --- writing --------------------------------------------------------------------------------- */

/* 1.100: with so many digits behind the point, and blanks in front. */
static void put_seconds(struct buf *b, int64_t ns, unsigned digits, size_t width)
{
	uint64_t unit = 1000000000, v = ns < 0 ? 0 : (uint64_t)ns;
	char bytes[32];
	struct buf number = buf_bounded(bytes, sizeof(bytes));

	for (unsigned i = 0; i < digits; i++)
		unit /= 10;
	v /= unit;
	unit = 1000000000 / unit;
	buf_unsigned(&number, v / unit);
	buf_char(&number, '.');
	buf_padded(&number, v % unit, digits);
	buf_repeat(b, ' ', number.len < width ? width - number.len : 0);
	buf_bytes(b, bytes, number.len);
}

/* 89.4%, of all. */
static void put_share(struct buf *b, int64_t ns, int64_t all_ns, size_t width)
{
	double share = all_ns > 0 ? 1000.0 * (double)ns / (double)all_ns : 0;
	uint64_t v = share > 0 ? (uint64_t)(share + 0.5) : 0;
	char bytes[32];
	struct buf number = buf_bounded(bytes, sizeof(bytes));

	buf_unsigned(&number, v / 10);
	buf_char(&number, '.');
	buf_unsigned(&number, v % 10);
	buf_char(&number, '%');
	buf_repeat(b, ' ', number.len < width ? width - number.len : 0);
	buf_bytes(b, bytes, number.len);
}

static void put_time(struct counts *c, struct buf *b, int64_t ns)
{
	buf_string(b, "# ");
	buf_string(b, c->kind->sample_type[TIME].type);
	buf_char(b, ' ');
	put_seconds(b, ns, 9, 0);
	buf_string(b, " s");
}

static void put_head(struct counts *c, struct buf *b)
{
	buf_string(b, c->kind->name);
	buf_string(b, " profile: total ");
	buf_signed(b, c->count);
	buf_char(b, '\n');
	put_time(c, b, c->ns);
	buf_string(b, " in ");
	put_seconds(b, (int64_t)(os_monotonic_ns() - c->x->window.begin_ns), 3, 0);
	buf_string(b, " s\n#\n");
}

static void put_function(struct counts *c, struct buf *b, const struct function *f)
{
	buf_string(b, "# ");
	put_seconds(b, f->flat_ns, 3, 8);
	put_share(b, f->flat_ns, c->ns, 8);
	put_seconds(b, f->cum_ns, 3, 9);
	put_share(b, f->cum_ns, c->ns, 8);
	buf_string(b, "  ");
	text_name(b, f->name);
	buf_char(b, '\n');
}

/* By what is flat, then by all that it called. */
static void put_table(struct counts *c, struct buf *b)
{
	struct order *order = arena_alloc(&c->x->arena, (c->functions + 1) * sizeof(*order));

	if (order == NULL || c->functions == 0)
		return;
	for (uint32_t i = 0; i < c->functions; i++)
		order[i] = (struct order){ ~(uint64_t)c->function[i].cum_ns, i };
	order_sort(order, c->functions);
	for (uint32_t i = 0; i < c->functions; i++)
		order[i].key = ~(uint64_t)c->function[order[i].at].flat_ns;
	order_sort(order, c->functions);
	buf_string(b, "#     flat   flat%      cum    cum%\n");
	for (uint32_t i = 0; i < c->functions && i < COUNTS_TEXT_TOP; i++)
		put_function(c, b, &c->function[order[i].at]);
	buf_string(b, "\n");
}

static void put_row(struct counts *c, struct buf *b, const struct sample *s)
{
	int64_t value[PPROF_VALUES_MAX];
	struct profile_stack stack;

	c->kind->values(s->value, value);
	if (value[COUNT] == 0 && value[TIME] == 0)
		return;
	profiles_stack(c->x, c->kind, c->text->places, s->key.stack, c->text->frame, &stack);
	if (!stack_text_set(c->text, stack.frame, stack.depth))
		return;
	buf_signed(b, value[COUNT]);
	stack_text_addresses(c->text, b);
	put_time(c, b, value[TIME]);
	buf_string(b, ", ");
	put_share(b, value[TIME], c->ns, 0);
	buf_char(b, '\n');
	stack_text_frames(c->text, b);
}

static void put_all(struct counts *c, struct buf *b)
{
	put_head(c, b);
	put_table(c, b);
	profiles_sort(c->x, c->kind, &c->samples, TIME);
	for (uint32_t i = 0; i < c->samples.count && !c->x->arena.failed; i++) {
		put_row(c, b, &c->samples.sample[i]);
		job_breathe();
	}
	buf_flush(b);
}

void counts_text_write(struct exchange *x, const struct profile_kind *kind)
{
	struct counts *c = arena_alloc(&x->arena, sizeof(*c));
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);

	if (c == NULL)
		return;
	c->x = x;
	c->kind = kind;
	c->id.arena = &x->arena;
	c->text = stack_text_new(x);
	samples_collect(&c->samples, &x->arena, &x->window, SAMPLES_BY_STACK);
	if (!x->arena.failed)
		profiles_merge(x, kind, c->text->places, c->text->frame, &c->samples);
	for (uint32_t i = 0; !x->arena.failed && i < c->samples.count; i++) {
		add_sample(c, i);
		job_breathe();
	}
	if (!x->arena.failed)
		put_all(c, &b);
}
