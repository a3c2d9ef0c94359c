#include "sampler/generations.h"

#include <string.h>

/* Words of the two indexes for a row: as stacks.c, 12 bytes in each. */
#define INDEX_BYTES (2 * 12)

static int init_generation(struct generation *g, uint64_t stacks_bytes, uint32_t rows_max)
{
	int err = stacks_init(&g->stacks, stacks_bytes);

	if (err < 0)
		return err;
	err = levels_init(&g->index, rows_max + rows_max / 2);
	if (err < 0)
		stacks_free(&g->stacks);
	return err;
}

static void free_generation(struct generation *g)
{
	stacks_free(&g->stacks);
	levels_free(&g->index);
}

static void make_evicted(struct generations *g)
{
	struct site_key key = { .stack = GENERATIONS_STACK_EVICTED };

	for (uint32_t row = 1; row < GENERATIONS_ROWS; row++)
		sites_set_key(&g->sites, sites_take(&g->sites), &key);
}

/* The generation that comes next: what lives will need room there (reclaim.c). */
static void limit_next(struct generations *g)
{
	struct stacks *s = &g->generation[(generations_number(g->now) & 1) ^ 1].stacks;

	s->room = (uint32_t)((uint64_t)s->nodes_max * g->kind->samples_eighths / 8);
}

int generations_init(struct generations *g, const struct generations_kind *kind,
		     uint64_t budget_bytes)
{
	uint64_t rows_bytes = budget_bytes / 8 * kind->rows_eighths;
	uint64_t stacks_bytes = (budget_bytes - rows_bytes) / 2;
	uint32_t rows_max = (uint32_t)(rows_bytes / (SITES_BYTES + INDEX_BYTES));
	int err;

	memset(g, 0, sizeof(*g));
	err = sites_init(&g->sites, rows_max);
	if (err < 0)
		return err;
	err = init_generation(&g->generation[0], stacks_bytes, rows_max);
	if (err == 0) {
		err = init_generation(&g->generation[1], stacks_bytes, rows_max);
		if (err < 0)
			free_generation(&g->generation[0]);
	}
	if (err < 0) {
		sites_free(&g->sites);
		return err;
	}
	make_evicted(g);
	g->kind = kind;
	limit_next(g);
	return 0;
}

void generations_free(struct generations *g)
{
	free_generation(&g->generation[0]);
	free_generation(&g->generation[1]);
	sites_free(&g->sites);
}

static void clear_generation(struct generation *g)
{
	levels_clear(&g->index);
	stacks_clear(&g->stacks);
	g->stacks.room = g->stacks.nodes_max;
	g->rows = 0;
}

void generations_after_fork(struct generations *g)
{
	uint64_t next = generations_number(g->now) + 1;

	if (g->kind == NULL)
		return;
	clear_generation(&g->generation[0]);
	clear_generation(&g->generation[1]);
	sites_clear(&g->sites);
	memset(&g->reclaim, 0, sizeof(g->reclaim));
	/* Another number, so that nobody takes a node that he remembers for one of now. */
	g->now = next << 2 | GENERATIONS_CLEAR;
	make_evicted(g);
	limit_next(g);
}

/* --- stacks of keys -------------------------------------------------------------------------- */

static const struct stacks *stacks_of(const struct generations *g, uint32_t stack)
{
	return &g->generation[stack >> GENERATIONS_BIT].stacks;
}

static uint32_t id_of(uint32_t stack)
{
	return stack & ~(UINT32_C(1) << GENERATIONS_BIT);
}

unsigned generations_frames(const struct generations *g, uint32_t stack, frame_t *frame,
			    unsigned max)
{
	if (stack != GENERATIONS_STACK_EVICTED)
		return stacks_frames(stacks_of(g, stack), id_of(stack), frame, max);
	if (max > 0)
		frame[0] = FRAME_EVICTED;
	return max > 0;
}

/* --- the index of sites ---------------------------------------------------------------------- */

struct look {
	uint64_t        hash;
	uint64_t        now;
	uint32_t        row;            /* this one, instead of a new one; 0 none */
	struct site_key key;
};

HOT uint64_t generations_hash(const struct generations *g, const struct site_key *k)
{
	uint32_t stack = k->stack_hash != 0 ? k->stack_hash
					    : stacks_hash(stacks_of(g, k->stack), id_of(k->stack));
	uint64_t low = stack | (uint64_t)k->size << 32;
	uint64_t high = k->thread | (uint64_t)k->labels << 16;

	return levels_hash(low + high * UINT64_C(0x9e3779b97f4a7c15));
}

static bool differs_in_stack_only(const struct site_row *r, const struct site_key *k)
{
	return r->size == k->size && r->thread == k->thread && r->labels == k->labels;
}

static uint32_t stack_of(const struct site_row *r)
{
	return atomic_load_explicit(&r->stack, memory_order_acquire);
}

static HOT bool is_row(const void *table, uint32_t id, const void *key)
{
	const struct site_row *r = &((const struct generations *)table)->sites.row[id];
	const struct look *look = key;

	return stack_of(r) == look->key.stack && differs_in_stack_only(r, &look->key);
}

/* It may have moved over meanwhile: then both stacks are in one table. */
static bool was_row(const void *table, uint32_t id, const void *key)
{
	const struct generations *g = table;
	const struct site_row *r = &g->sites.row[id];
	const struct look *look = key;
	uint32_t was = stack_of(r), is = look->key.stack;

	return differs_in_stack_only(r, &look->key) &&
	       stacks_same(stacks_of(g, was), id_of(was), stacks_of(g, is), id_of(is));
}

static uint32_t find_before(const struct generations *g, const struct look *look)
{
	static const struct levels_table before = { was_row, NULL };
	const struct generation *other =
		&g->generation[(generations_number(look->now) & 1) ^ 1];

	return levels_find(&other->index, look->hash, &before, g, look);
}

static uint32_t make_row(void *table, const void *key)
{
	struct generations *g = table;
	const struct look *look = key;
	_Atomic uint32_t *rows = &generations_at(g, look->now)->rows;
	uint32_t row = look->row;

	if (row == 0 && generations_other(look->now) == GENERATIONS_OPEN)
		row = find_before(g, look);
	if (row != 0) {
		atomic_store_explicit(&g->sites.row[row].stack, look->key.stack,
				      memory_order_release);
		atomic_fetch_add_explicit(rows, 1, memory_order_relaxed);
		return row;
	}
	/* Half of them each: so that what is evicted at once is never nearly all. */
	if (generations_other(look->now) == GENERATIONS_CLEAR &&
	    atomic_load_explicit(rows, memory_order_relaxed) >= g->sites.rows_max / 2)
		return 0;
	row = sites_take(&g->sites);
	if (row == 0)
		return 0;
	sites_set_key(&g->sites, row, &look->key);
	atomic_fetch_add_explicit(rows, 1, memory_order_relaxed);
	return row;
}

static const struct levels_table rows = { is_row, make_row };

static HOT uint32_t intern(struct generations *g, struct look *look)
{
	struct generation *present = generations_at(g, look->now);

	look->hash = generations_hash(g, &look->key);
	return levels_intern(&present->index, look->hash, &rows, g, look);
}

HOT uint32_t generations_row(struct generations *g, uint64_t now, const struct site_key *key)
{
	struct look look = { .now = now, .key = *key };

	return intern(g, &look);
}

HOT uint32_t generations_find(struct generations *g, uint64_t now, const struct site_key *key)
{
	struct look look = { .now = now, .key = *key, .hash = generations_hash(g, key) };
	uint32_t row = levels_find(&generations_at(g, now)->index, look.hash, &rows, g, &look);

	/* It moves over, as one that is met again. */
	if (row == 0 && generations_other(now) == GENERATIONS_OPEN && find_before(g, &look) != 0)
		row = intern(g, &look);
	return row;
}

HOT void generations_look_ahead(const struct generations *g, uint64_t now,
				const struct site_key *key)
{
	const struct levels *index = &g->generation[generations_number(now) & 1].index;

	__builtin_prefetch((const void *)(uintptr_t)&index->words[levels_bucket(
		index, generations_hash(g, key), 0, 0)]);
	__asm__ volatile("");
}

void generations_move(struct generations *g, uint64_t now, uint32_t row,
		      const struct site_key *key)
{
	struct look look = { .now = now, .key = *key, .row = row };

	atomic_store_explicit(&g->sites.row[row].stack, key->stack, memory_order_release);
	(void)intern(g, &look);
}

bool generations_next(struct generations *g, uint64_t now)
{
	uint64_t was = now;

	if (generations_other(now) != GENERATIONS_CLEAR)
		return generations_number(generations_now(g)) != generations_number(now);
	atomic_compare_exchange_strong(&g->now, &was,
				       (generations_number(now) + 1) << 2 | GENERATIONS_OPEN);
	return true;
}

uint32_t generations_sites(const struct generations *g)
{
	uint32_t n = sites_count(&g->sites);

	return n < GENERATIONS_ROWS ? 0 : n - (GENERATIONS_ROWS - 1);
}

void generations_memory(const struct generations *g, uint64_t *budget, uint64_t *used)
{
	uint64_t row = SITES_BYTES + INDEX_BYTES;

	*budget = g->sites.rows_max * row;
	*used = g->kind != NULL ? sites_end(&g->sites) * row : 0;
	for (unsigned i = 0; i < 2; i++) {
		*budget += g->generation[i].stacks.nodes_max * (uint64_t)STACKS_NODE_BYTES;
		*used += stacks_nodes(&g->generation[i].stacks) * (uint64_t)STACKS_NODE_BYTES;
	}
}
