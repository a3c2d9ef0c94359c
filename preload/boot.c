#include "preload/boot.h"

#include <stdatomic.h>
#include <stdint.h>

#include "sampler/heap.h"
#include "sampler/os.h"

#define REGIONS_MAX 64

/* Before each block its size. */
struct head { size_t size, unused; };

static char pool[BOOT_BYTES] __attribute__((aligned(4096)));

static struct region {
	char            *base;
	size_t           bytes;
	_Atomic size_t   used;
} regions[REGIONS_MAX] = { { pool, sizeof(pool), 0 } };

static void *take(struct region *r, size_t align, size_t n)
{
	size_t used = atomic_load(&r->used), at;

	if (r->base == NULL || n > r->bytes)
		return NULL;
	do {
		at = (used + sizeof(struct head) + align - 1) & ~(align - 1);
		if (at > r->bytes - n)
			return NULL;
	} while (!atomic_compare_exchange_weak(&r->used, &used, at + n));
	((struct head *)(void *)(r->base + at))[-1].size = n;
	heap_pin(r->base + at);
	return r->base + at;
}

void *boot_alloc(size_t align, size_t n)
{
	if (align < 16)
		align = 16;
	if (n == 0)
		n = 1;
	for (unsigned i = 0; i < REGIONS_MAX; i++) {
		void *p = take(&regions[i], align, n);

		if (p != NULL)
			return p;
		/* Only the thread that is resolving comes here: nobody else takes the region. */
		if (regions[i].base == NULL && n < SIZE_MAX / 2) {
			size_t bytes = n + 2 * 4096 > BOOT_BYTES ? n + 2 * 4096 : BOOT_BYTES;

			regions[i].base = os_map(bytes);
			regions[i].bytes = bytes;
			return take(&regions[i], align, n);
		}
	}
	return NULL;
}

size_t boot_size(const void *p)
{
	for (unsigned i = 0; i < REGIONS_MAX && regions[i].base != NULL; i++) {
		const char *base = regions[i].base;

		if ((const char *)p >= base && (const char *)p < base + regions[i].bytes)
			return ((const struct head *)p)[-1].size;
	}
	return 0;
}
