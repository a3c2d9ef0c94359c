/* The doors of mprotect, for what a host may do to its own stack: carve fibers out of it, with a
 * guard page above each.  Between sp and the top of a stack nothing is probed (unwind_memory.c), so
 * it must be known before the page is gone that the stack ends there. */
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "preload/export.h"
#include "preload/real.h"
#include "sampler/threads.h"

EXPORT int mprotect(void *p, size_t n, int protection)
{
	if (!(protection & PROT_READ))
		threads_cut_stack((uintptr_t)p, n);
	return real.mprotect(p, n, protection);
}

/* A key may forbid what the protection allows, now or later. */
EXPORT int pkey_mprotect(void *p, size_t n, int protection, int key)
{
	if (!(protection & PROT_READ) || key > 0)
		threads_cut_stack((uintptr_t)p, n);
	return real.pkey_mprotect(p, n, protection, key);
}
