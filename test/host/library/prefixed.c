/* prefixed -- a program with an allocator linked into it.  PREFIX(malloc) names its functions; HIDDEN
 * ones nobody else can call, as a version script of the program would have it. */
#include <stddef.h>

#ifndef PREFIX
#define PREFIX(name) name
#endif

#ifdef HIDDEN
#define OURS __attribute__((visibility("hidden"), noinline))
#else
#define OURS __attribute__((noinline))
#endif

OURS void *PREFIX(malloc)(size_t n);
OURS void PREFIX(free)(void *p);

/* Nothing comes back. */
static char room[64 << 20] __attribute__((aligned(16)));
static size_t taken;

void *PREFIX(malloc)(size_t n)
{
	size_t at = __atomic_fetch_add(&taken, (n + 15) / 16 * 16, __ATOMIC_RELAXED);

	return at + n <= sizeof(room) ? room + at : NULL;
}

void PREFIX(free)(void *p)
{
	(void)p;
}

/* serve.h's blocks come from it. */
#include <stdlib.h>
#define malloc PREFIX(malloc)
#define free   PREFIX(free)
#include "serve.h"

int main(void)
{
	serve(NULL);
	return 0;
}
