/* dumps -- a program with jemalloc linked into it.  It holds serve.h's blocks, and each line of its
 * input makes jemalloc write its profile, as MALLOC_CONF's prof_prefix says. */
#include <stddef.h>
#include <stdio.h>

#ifndef PREFIX
#define PREFIX(name) name
#endif

int PREFIX(mallctl)(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
void *PREFIX(malloc)(size_t n);
void *PREFIX(calloc)(size_t n, size_t size);
void PREFIX(free)(void *p);

#include <stdlib.h>
#define malloc PREFIX(malloc)
#define calloc PREFIX(calloc)
#define free   PREFIX(free)
#include "serve.h"

__attribute__((noinline)) void *clear_here(void);
__attribute__((noinline)) void *clear_here(void)
{
	void *volatile p = calloc(10, SERVE_BYTES);

	return p;
}

int main(void)
{
	static void *held[SERVE_BLOCKS];
	void *cleared = clear_here();
	char line[64];

	for (int i = 0; i < SERVE_BLOCKS; i++)
		held[i] = hold_here();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		printf("dumped %d\n", PREFIX(mallctl)("prof.dump", NULL, NULL, NULL, 0));
		fflush(stdout);
	}
	for (int i = 0; i < SERVE_BLOCKS; i++)
		free(held[i]);
	free(cleared);
	return 0;
}
