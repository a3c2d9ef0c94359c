/* test/fake/map_fail.h -- memory for arenas: counted, and refused when a test says so. */
#ifndef TEST_FAKE_MAP_FAIL_H
#define TEST_FAKE_MAP_FAIL_H

#include <stdlib.h>

#include "encode/arena.h"

static struct {
	unsigned calls;
	unsigned fail_at;       /* this call and all later ones; 0: none */
	size_t   live_bytes;
} map_fail;

static inline void *map_fail_map(size_t bytes)
{
	void *p;

	map_fail.calls++;
	if (map_fail.fail_at != 0 && map_fail.calls >= map_fail.fail_at)
		return NULL;
	p = aligned_alloc(4096, bytes);
	if (p == NULL)
		abort();
	for (size_t i = 0; i < bytes; i++)
		((char *)p)[i] = 0;
	map_fail.live_bytes += bytes;
	return p;
}

static inline void map_fail_unmap(void *p, size_t bytes)
{
	map_fail.live_bytes -= bytes;
	free(p);
}

static inline struct arena map_fail_arena(size_t budget_bytes)
{
	struct arena a;

	map_fail.calls = 0;
	map_fail.fail_at = 0;
	arena_init(&a, budget_bytes, map_fail_map, map_fail_unmap);
	return a;
}

/* An arena of one block of 64 KiB in which so many bytes, a multiple of 16, can still be had. */
static inline struct arena map_fail_arena_with(size_t bytes_left)
{
	struct arena a = map_fail_arena(65536);
	size_t header = 32;

	if (arena_alloc(&a, 65536 - header - bytes_left) == NULL)
		abort();
	return a;
}

#endif
