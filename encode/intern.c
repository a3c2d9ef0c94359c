/* Open addressing in an array that is replaced by one twice as large at three quarters full.  The
 * old arrays stay in the arena: together they are smaller than the last one. */
#include "encode/intern.h"

#include <string.h>

#define FIRST_ROWS 256u

struct intern_row {
	const char *key;        /* NULL: free */
	size_t      n;
	uint64_t    hash;
	uint64_t    id;
};

/* FNV-1a. */
static uint64_t hash_of(const void *key, size_t n)
{
	const unsigned char *byte = key;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3u;
	return hash ^ (hash >> 32);
}

/* The row of the key, or the free one where it belongs.  There are free rows. */
static struct intern_row *row_of(const struct intern *t, const void *key, size_t n, uint64_t hash)
{
	size_t i = hash & (t->rows - 1);

	for (;;) {
		struct intern_row *r = &t->row[i];

		if (r->key == NULL)
			return r;
		if (r->hash == hash && r->n == n && memcmp(r->key, key, n) == 0)
			return r;
		i = (i + 1) & (t->rows - 1);
	}
}

bool intern_find(const struct intern *t, const void *key, size_t n, uint64_t *id)
{
	const struct intern_row *r;

	if (t->rows == 0)
		return false;
	r = row_of(t, key, n, hash_of(key, n));
	if (r->key == NULL)
		return false;
	*id = r->id;
	return true;
}

static bool grow(struct intern *t)
{
	struct intern bigger = *t;

	bigger.rows = t->rows == 0 ? FIRST_ROWS : 2 * t->rows;
	bigger.row = arena_alloc(t->arena, bigger.rows * sizeof(*bigger.row));
	if (bigger.row == NULL)
		return false;
	for (size_t i = 0; i < t->rows; i++) {
		const struct intern_row *r = &t->row[i];

		if (r->key != NULL)
			*row_of(&bigger, r->key, r->n, r->hash) = *r;
	}
	*t = bigger;
	return true;
}

bool intern_add(struct intern *t, const void *key, size_t n, uint64_t id)
{
	uint64_t hash = hash_of(key, n);
	const char *copy;

	if (4 * t->used >= 3 * t->rows && !grow(t))
		return false;
	copy = arena_copy_string(t->arena, key, n);
	if (copy == NULL)
		return false;
	*row_of(t, key, n, hash) =
		(struct intern_row){ .key = copy, .n = n, .hash = hash, .id = id };
	t->used++;
	return true;
}
