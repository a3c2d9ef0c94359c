/* preload/boot.h -- blocks for the time in which we look for malloc: dlsym may allocate, and that
 * call comes back to our own door.
 *
 * Context   the host's thread, inside real_resolve.
 * Memory    BOOT_BYTES in the library, then mappings.  Never freed: a few hundred bytes in
 *           practice. Each block is pinned in the heap's filter, so that a free of it takes the
 *           slow path, where boot_size finds it.  malloc_usable_size has no door for them: the
 *           loader, whose they are, does not ask. */
#ifndef PRELOAD_BOOT_H
#define PRELOAD_BOOT_H

#include <stddef.h>

#define BOOT_BYTES (64u << 10)

/* n zeroed bytes at a multiple of align (a power of two up to 4096); NULL if mmap refuses. */
void *boot_alloc(size_t align, size_t n);

/* The size of a block of ours, or 0: somebody else's. */
size_t boot_size(const void *p);

#endif
