#include "httpd/samples.h"

#include "httpd/job.h"
#include "sampler/levels.h"

/* Open addressing over indexes into out->sample, twice as many as rows: never full. */
struct table {
	uint32_t *index;                /* + 1; 0: free */
	uint32_t  mask;
};

static bool same_key(const struct site_key *a, const struct site_key *b)
{
	return a->stack == b->stack && a->size == b->size && a->thread == b->thread &&
	       a->labels == b->labels;
}

static struct sample *find(struct table *t, struct samples *out, const struct site_key *key)
{
	uint64_t hash = levels_hash(key->stack ^ (uint64_t)key->size << 32 ^
				    (uint64_t)key->thread << 17 ^ (uint64_t)key->labels << 1);
	uint32_t at = (uint32_t)(hash >> 32) & t->mask;

	for (;; at = (at + 1) & t->mask) {
		if (t->index[at] == 0) {
			out->sample[out->count].key = *key;
			t->index[at] = ++out->count;
			return &out->sample[out->count - 1];
		}
		if (same_key(&out->sample[t->index[at] - 1].key, key))
			return &out->sample[t->index[at] - 1];
	}
}

static bool any(const int64_t value[SITES_VALUES])
{
	int64_t bits = 0;

	for (unsigned i = 0; i < SITES_VALUES; i++)
		bits |= value[i];
	return bits != 0;
}

static void add_row(struct table *t, struct samples *out, const struct window *w, uint32_t row,
		    int by)
{
	struct site_key key;
	int64_t value[SITES_VALUES];
	struct sample *s;

	if (!window_read(w, row, &key, value) || !any(value))
		return;
	if ((by & SAMPLES_BY_SIZE) == 0)
		key.size = 0;
	if ((by & SAMPLES_BY_THREAD) == 0)
		key.thread = 0;
	s = find(t, out, &key);
	for (unsigned i = 0; i < SITES_VALUES; i++)
		s->value[i] += value[i];
}

void samples_collect(struct samples *out, struct arena *arena, const struct window *w, int by)
{
	uint32_t end = w->ground->end(w->profile), slots = 16;
	struct table t;

	while (slots < 2 * end)
		slots *= 2;
	out->count = 0;
	out->sample = arena_alloc(arena, end * sizeof(*out->sample));
	t.index = arena_alloc(arena, slots * sizeof(*t.index));
	t.mask = slots - 1;
	for (uint32_t row = 1; !arena->failed && row < end; row++) {
		add_row(&t, out, w, row, by);
		if (row % 256 == 0)
			job_breathe();
	}
}
