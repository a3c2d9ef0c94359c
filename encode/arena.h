/* encode/arena.h -- memory of one request: taken piece by piece, given back all at once.
 *
 * Context   one thread.  Memory comes from the map function given at init (mmap in the library,
 *           anything in a test); nothing here makes a system call.
 * When full arena_alloc returns NULL from then on and arena->failed stays true: callers may
 *           check each result, or check failed once at the end where NULL is harmless. */
#ifndef ENCODE_ARENA_H
#define ENCODE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/* What is mapped at first, if that is enough. */
#define ARENA_FIRST_BYTES 65536u

struct arena_block;

struct arena {
	struct arena_block *blocks;     /* newest first */
	size_t mapped_bytes;            /* all blocks together, <= budget_bytes */
	size_t budget_bytes;
	bool   failed;
	void *(*map)(size_t bytes);     /* zeroed, page-aligned memory, or NULL */
	void (*unmap)(void *p, size_t bytes);
};

void arena_init(struct arena *a, size_t budget_bytes, void *(*map)(size_t),
		void (*unmap)(void *, size_t));

/* n bytes, 16-aligned, zeroed; NULL when the budget is used up or map refused. */
void *arena_alloc(struct arena *a, size_t n);

/* A copy of n bytes of s, followed by a 0. */
char *arena_copy_string(struct arena *a, const char *s, size_t n);

/* Gives all blocks back: every pointer handed out dies.  The arena is as after arena_init. */
void arena_reset(struct arena *a);

#endif
