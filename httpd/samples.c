#include "httpd/samples.h"

#include "httpd/job.h"
#include "httpd/order.h"
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
	if ((by & SAMPLES_BY_STATE) == 0)
		key.labels = 0;
	s = find(t, out, &key);
	out->of_row[row] = (uint32_t)(s - out->sample) + 1;
	for (unsigned i = 0; i < SITES_VALUES; i++)
		s->value[i] += value[i];
}

void samples_collect(struct samples *out, struct arena *arena, struct window *w, int by)
{
	uint32_t end, slots = 16;
	struct table t;

	window_begin_reading(w);
	end = w->ground->end(w->profile);
	while (slots < 2 * end)
		slots *= 2;
	out->count = 0;
	out->rows = end;
	out->sample = arena_alloc(arena, end * sizeof(*out->sample));
	out->of_row = arena_alloc(arena, end * sizeof(*out->of_row));
	t.index = arena_alloc(arena, slots * sizeof(*t.index));
	t.mask = slots - 1;
	for (uint32_t row = 1; !arena->failed && row < end; row++) {
		add_row(&t, out, w, row, by);
		if (row % 256 == 0)
			job_breathe();
	}
}

/* --- after the places are known -------------------------------------------------------------- */

struct seen {
	uint64_t shown;                 /* and the rest of the key */
	uint32_t sample;                /* + 1; 0: free */
};

void samples_merge(struct samples *s, struct arena *arena,
		   uint64_t (*shown)(void *with, uint32_t stack), void *with)
{
	uint32_t slots = 16, kept = 0, *now;
	struct seen *seen;

	while (slots < 2 * s->count)
		slots *= 2;
	seen = arena_alloc(arena, slots * sizeof(*seen));
	now = arena_alloc(arena, (s->count + 1) * sizeof(*now));
	if (arena->failed)
		return;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct sample from = s->sample[i];
		uint64_t hash = levels_hash(shown(with, from.key.stack) ^
					    (uint64_t)from.key.size << 32 ^
					    (uint64_t)from.key.thread << 16 ^ from.key.labels);
		uint32_t at = (uint32_t)hash & (slots - 1);

		while (seen[at].sample != 0 && seen[at].shown != hash)
			at = (at + 1) & (slots - 1);
		if (seen[at].sample == 0) {
			s->sample[kept] = from;
			seen[at] = (struct seen){ hash, ++kept };
			now[i + 1] = kept;
			continue;
		}
		now[i + 1] = seen[at].sample;
		for (unsigned v = 0; v < SITES_VALUES; v++)
			s->sample[seen[at].sample - 1].value[v] += from.value[v];
	}
	for (uint32_t row = 0; row < s->rows; row++) {
		s->of_row[row] = now[s->of_row[row]];
		if (row % 256 == 0)
			job_breathe();
	}
	s->count = kept;
}

void samples_sort_by(struct samples *s, struct arena *arena,
		     int64_t (*key)(const void *with, const struct sample *s), const void *with)
{
	struct order *order = arena_alloc(arena, (s->count + 1) * sizeof(*order));
	struct sample *sorted = arena_alloc(arena, (s->count + 1) * sizeof(*sorted));

	if (arena->failed)
		return;
	/* The sign turned over, and all bits: the order of unsigned numbers, downwards. */
	for (uint32_t i = 0; i < s->count; i++) {
		order[i] = (struct order){ ~((uint64_t)key(with, &s->sample[i]) ^ 1ull << 63), i };
		if (i % 256 == 0)
			job_breathe();
	}
	order_sort(order, s->count);
	for (uint32_t i = 0; i < s->count; i++) {
		sorted[i] = s->sample[order[i].at];
		if (i % 256 == 0)
			job_breathe();
	}
	s->sample = sorted;
}

static int64_t counter(const void *with, const struct sample *s)
{
	return s->value[*(const unsigned *)with];
}

void samples_sort(struct samples *s, struct arena *arena, unsigned value)
{
	samples_sort_by(s, arena, counter, &value);
}
