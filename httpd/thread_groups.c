#include "httpd/thread_groups.h"

#include "httpd/job.h"
#include "httpd/order.h"
#include "httpd/profiles.h"
#include "sampler/levels.h"

static const frame_t no_stack = FRAME_NO_STACK;

struct making {
	struct exchange      *x;
	struct thread_groups *g;
};

static uint64_t shown_as(const struct making *m, const struct thread_group *group)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < group->depth; i++)
		hash = levels_hash(hash ^
				   (uintptr_t)places_find(m->g->places, group->frame[i]));
	for (const char *c = group->name; c != NULL && *c != '\0'; c++)
		hash = levels_hash(hash ^ (unsigned char)*c);
	return levels_hash(hash ^ group->depth);
}

static void add(struct making *m, const frame_t *frame, unsigned depth, const char *name,
		int64_t count)
{
	struct thread_group *group = &m->g->group[m->g->count++];

	*group = (struct thread_group){ .frame = depth > 0 ? frame : &no_stack,
					.depth = depth > 0 ? depth : 1,
					.name = m->g->by_name ? name : NULL, .count = count };
	group->shown = shown_as(m, group);
	m->g->threads += count;
	job_breathe();
}

static void add_all(struct making *m, const struct thread_dump *d, int64_t count)
{
	frame_t *own = arena_alloc(&m->x->arena, sizeof(*own));

	if (own == NULL)
		return;
	*own = thread_dump_own_frame(m->x);
	add(m, own, 1, "", count);
	for (uint32_t i = 0; i < d->count && !m->x->arena.failed; i++)
		add(m, d->thread[i].frame, d->thread[i].look.depth, d->thread[i].look.name, count);
}

/* The same stand side by side. */
static void merge(struct thread_groups *g, const struct order *order, struct thread_group *merged)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->count; i++) {
		const struct thread_group *group = &g->group[order[i].at];

		if (n > 0 && merged[n - 1].shown == group->shown)
			merged[n - 1].count += group->count;
		else
			merged[n++] = *group;
	}
	g->count = 0;
	for (uint32_t i = 0; i < n; i++)
		if (merged[i].count != 0)
			g->group[g->count++] = merged[i];
}

/* Of equal counts that with the lower leaf address. */
static void sort(struct thread_groups *g, struct order *order, struct thread_group *sorted)
{
	for (uint32_t i = 0; i < g->count; i++)
		order[i] = (struct order){ frame_pc(g->group[i].frame[0]), i };
	order_sort(order, g->count);
	for (uint32_t i = 0; i < g->count; i++)
		sorted[i] = g->group[order[i].at];
	/* The sign turned over, and all bits: the order of unsigned numbers, downwards. */
	for (uint32_t i = 0; i < g->count; i++)
		order[i] = (struct order){ ~((uint64_t)sorted[i].count ^ 1ull << 63), i };
	order_sort(order, g->count);
	for (uint32_t i = 0; i < g->count; i++)
		g->group[i] = sorted[order[i].at];
}

bool thread_groups_make(struct exchange *x, struct places *places, const struct thread_dump *now,
			const struct thread_dump *before, struct thread_groups *out)
{
	uint32_t room = now->count + (before != NULL ? before->count : 0) + 2;
	struct thread_group *group = arena_alloc(&x->arena, room * sizeof(*group));
	struct thread_group *merged = arena_alloc(&x->arena, room * sizeof(*merged));
	struct order *order = arena_alloc(&x->arena, room * sizeof(*order));
	struct making m = { x, out };

	*out = (struct thread_groups){ .places = places, .group = group,
				       .by_name = profiles_wants_label(x, "thread") };
	if (x->arena.failed)
		return false;
	add_all(&m, now, 1);
	if (before != NULL)
		add_all(&m, before, -1);
	if (x->arena.failed)
		return false;
	for (uint32_t i = 0; i < out->count; i++)
		order[i] = (struct order){ group[i].shown, i };
	order_sort(order, out->count);
	merge(out, order, merged);
	sort(out, order, merged);
	return true;
}
