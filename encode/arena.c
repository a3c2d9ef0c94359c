/* Bump allocation over blocks that double in size.  Blocks are never used twice, so what map gave
 * as zeroes is handed out as zeroes without a memset. */
#include "encode/arena.h"

#include <stdint.h>
#include <string.h>

#define PAGE_BYTES        4096u
#define BLOCK_BYTES_MAX   (1u << 20)    /* for small requests; a big one gets what it needs */

struct arena_block {
	_Alignas(16) struct arena_block *older;
	size_t bytes;           /* with this header */
	size_t used;            /* with this header; a multiple of 16, <= bytes */
};

void arena_init(struct arena *a, size_t budget_bytes, void *(*map)(size_t),
		void (*unmap)(void *, size_t))
{
	*a = (struct arena){ .budget_bytes = budget_bytes, .map = map, .unmap = unmap };
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* What the next block should have; less when the budget ends, but never less than least. */
static size_t next_block_bytes(const struct arena *a, size_t least)
{
	size_t left = (a->budget_bytes - a->mapped_bytes) / PAGE_BYTES * PAGE_BYTES;
	size_t want = ARENA_FIRST_BYTES;

	if (a->blocks != NULL)
		want = 2 * a->blocks->bytes;
	if (want > BLOCK_BYTES_MAX)
		want = BLOCK_BYTES_MAX;
	if (want > left)
		want = left;
	return want > least ? want : least;
}

/* A block with room for n bytes becomes the newest. */
static struct arena_block *add_block(struct arena *a, size_t n)
{
	size_t least = round_up(sizeof(struct arena_block) + n, PAGE_BYTES);
	size_t bytes = next_block_bytes(a, least);
	struct arena_block *b;

	if (bytes > a->budget_bytes - a->mapped_bytes)
		return NULL;
	b = a->map(bytes);
	if (b == NULL)
		return NULL;
	*b = (struct arena_block){ .older = a->blocks, .bytes = bytes, .used = sizeof(*b) };
	a->blocks = b;
	a->mapped_bytes += bytes;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	void *p;

	if (a->failed)
		return NULL;
	if (n > SIZE_MAX / 2) {         /* so that no sum below can wrap */
		a->failed = true;
		return NULL;
	}
	n = round_up(n, 16);
	if (b == NULL || n > b->bytes - b->used)
		b = add_block(a, n);
	if (b == NULL) {
		a->failed = true;
		return NULL;
	}
	p = (char *)b + b->used;
	b->used += n;
	return p;
}

char *arena_copy_string(struct arena *a, const char *s, size_t n)
{
	char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;

	if (copy != NULL)
		memcpy(copy, s, n);
	return copy;
}

void arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;

	while (b != NULL) {
		struct arena_block *older = b->older;

		a->unmap(b, b->bytes);
		b = older;
	}
	arena_init(a, a->budget_bytes, a->map, a->unmap);
}
