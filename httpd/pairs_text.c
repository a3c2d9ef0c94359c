/* No window is open: rows and stacks are read at once, pair by pair, without a breath in between,
 * and only our thread takes them away. */
#include "httpd/pairs_text.h"

#include "httpd/chores.h"
#include "httpd/job.h"
#include "httpd/order.h"
#include "httpd/stack_text.h"
#include "sampler/levels.h"

struct side {
	const frame_t *frame;
	unsigned       depth;
};

struct pair {
	struct side waiter, holder;
	uint64_t    shown;              /* 64 random bits, the same for what is shown alike */
	int64_t     contentions, delay_ns;
};

struct pairs {
	struct exchange   *x;
	struct stack_text *text;
	struct pair       *pair;
	uint32_t           count;
};

/* --- reading --------------------------------------------------------------------------------- */

static const frame_t evicted = FRAME_EVICTED, unknown = FRAME_LOCK_HOLDER_UNKNOWN;

/* Without a row it is the one that there is `instead`. */
static void copy_stack(struct pairs *p, enum ground_profile profile, uint32_t row,
		       const frame_t *instead, struct side *side)
{
	const struct ground *ground = p->x->desk->ground;
	uint64_t value[SITES_VALUES];
	struct site_key key;
	frame_t *copy;

	*side = (struct side){ instead, 1 };
	if (row == 0 || !ground->read(profile, row, &key, value))
		return;
	side->depth = ground->frames(profile, key.stack, p->text->frame, PROFILES_FRAMES_MAX);
	copy = arena_alloc(&p->x->arena, side->depth * sizeof(*copy));
	for (unsigned i = 0; copy != NULL && i < side->depth; i++)
		copy[i] = p->text->frame[i];
	side->frame = copy;
}

static uint64_t shown_as(const struct pairs *p, const struct side *side, uint64_t hash)
{
	for (unsigned i = 0; i < side->depth; i++)
		hash = levels_hash(hash ^
				   (uintptr_t)places_find(p->text->places, side->frame[i]));
	return levels_hash(hash ^ side->depth);
}

static bool read_pairs(struct pairs *p)
{
	const struct ground *ground = p->x->desk->ground;
	uint32_t end = ground->lock_pairs_end();
	struct lock_pair found;

	p->pair = arena_alloc(&p->x->arena, (end + 1) * sizeof(*p->pair));
	for (uint32_t i = 0; i < end && !p->x->arena.failed; i++) {
		struct pair *pair = &p->pair[p->count];

		if (!ground->lock_pair(i, &found))
			continue;
		copy_stack(p, GROUND_BLOCK, found.waiter, &evicted, &pair->waiter);
		copy_stack(p, GROUND_MUTEX, found.holder, &unknown, &pair->holder);
		pair->contentions = (int64_t)found.contentions;
		pair->delay_ns = (int64_t)found.delay_ns;
		p->count++;
		job_breathe();
	}
	for (uint32_t i = 0; i < p->count && !p->x->arena.failed; i++) {
		p->pair[i].shown = shown_as(p, &p->pair[i].holder,
					    shown_as(p, &p->pair[i].waiter, 0));
		job_breathe();
	}
	return !p->x->arena.failed;
}

/* --- putting together, and in order ---------------------------------------------------------- */

static bool merge(struct pairs *p)
{
	struct order *order = arena_alloc(&p->x->arena, (p->count + 1) * sizeof(*order));
	struct pair *merged = arena_alloc(&p->x->arena, (p->count + 1) * sizeof(*merged));
	uint32_t n = 0;

	if (p->x->arena.failed)
		return false;
	for (uint32_t i = 0; i < p->count; i++)
		order[i] = (struct order){ p->pair[i].shown, i };
	order_sort(order, p->count);
	for (uint32_t i = 0; i < p->count; i++) {
		const struct pair *pair = &p->pair[order[i].at];

		if (n == 0 || merged[n - 1].shown != pair->shown) {
			merged[n++] = *pair;
			continue;
		}
		merged[n - 1].contentions += pair->contentions;
		merged[n - 1].delay_ns += pair->delay_ns;
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = (struct order){ ~(uint64_t)merged[i].delay_ns, i };
	order_sort(order, n);
	for (uint32_t i = 0; i < n; i++)
		p->pair[i] = merged[order[i].at];
	p->count = n;
	return true;
}

/* --- writing --------------------------------------------------------------------------------- */

static void write_leaf(struct pairs *p, struct buf *b, const struct side *side)
{
	if (side->depth == 0 || !stack_text_set(p->text, side->frame, 1))
		return;
	if (p->text->text[0].name != NULL) {
		text_name(b, p->text->text[0].name);
	} else {
		buf_string(b, "0x");
		buf_hex(b, p->text->address[0], 1);
	}
}

static void write_side(struct pairs *p, struct buf *b, const char *who, const struct side *side)
{
	if (!stack_text_set(p->text, side->frame, side->depth))
		return;
	buf_string(b, who);
	stack_text_addresses(p->text, b);
	stack_text_lines(p->text, b);
}

static void write_pair(struct pairs *p, struct buf *b, const struct pair *pair)
{
	buf_signed(b, pair->delay_ns);
	buf_string(b, " ");
	buf_signed(b, profiles_whole(pair->contentions));
	buf_string(b, " ");
	write_leaf(p, b, &pair->waiter);
	buf_string(b, " <- ");
	write_leaf(p, b, &pair->holder);
	buf_string(b, "\n");
	write_side(p, b, "# waiter", &pair->waiter);
	write_side(p, b, "# holder", &pair->holder);
	buf_string(b, "\n");
}

void pairs_text_write(struct exchange *x)
{
	char bytes[4096];
	struct buf b = buf_to_sink(bytes, sizeof(bytes), &x->reply.body.sink);
	struct pairs p = { .x = x };

	chores_refresh(x->desk->ground);
	exchange_text(x);
	p.text = stack_text_new(x);
	if (p.text == NULL || !read_pairs(&p) || !merge(&p))
		return;
	buf_string(&b, "--- pairs: waiter <- holder\ncycles/second=1000000000\n");
	for (uint32_t i = 0; i < p.count && !x->arena.failed; i++) {
		write_pair(&p, &b, &p.pair[i]);
		job_breathe();
	}
	buf_flush(&b);
}
