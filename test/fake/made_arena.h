/* test/fake/made_arena.h -- begin and end of a test that reads a made-up ground into an arena: nothing
 * is left of the test before, and nothing is left mapped. */
#ifndef TEST_FAKE_MADE_ARENA_H
#define TEST_FAKE_MADE_ARENA_H

#include "fake/made_ground.h"
#include "fake/map_fail.h"
#include "httpd/window.h"

static struct arena arena;

static inline int begin(void **state)
{
	(void)state;
	made_forget();
	window_after_fork();    /* those of the test before are gone */
	arena = map_fail_arena(64u << 20);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	arena_reset(&arena);
	return map_fail.live_bytes != 0;
}

#endif
