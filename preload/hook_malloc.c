/* The doors of malloc and its family.  Where nothing is sampled, each is a few instructions and a
 * jump to the real function: the countdown comes first, so nothing is left to do afterwards. */
#include "preload/boot.h"
#include "preload/export.h"
#include "preload/real.h"
#include "sampler/compiler.h"
#include "sampler/heap.h"

#include <string.h>

/* realloc is one, with its header's attributes; the rest of the family is declared by real.h. */
#define X(result, name, params, args) EXPORT result name params;
REAL_BLOCKS(X)
#undef X

/* malloc and free are that short that they fit into what a processor fetches at once, and no jump
 * lies across its end, which makes some slow (Intel's erratum SKX102). */
#define IN_ONE_FETCH __attribute__((aligned(32)))

EXPORT void *malloc(size_t n) IN_ONE_FETCH;
EXPORT void free(void *p) IN_ONE_FETCH;

/* A door that gives out a block of `size` bytes. */
#define GIVING_DOOR(name, params, args, size)      \
	static HOT NOINLINE void *sampled_##name params \
	{                                          \
		void *p = real.name args;          \
                                                   \
		heap_sample(p, size);              \
		return p;                          \
	}                                          \
                                                   \
	EXPORT void *name params                   \
	{                                          \
		if (likely(heap_passes(size)))     \
			return real.name args;     \
		return sampled_##name args;        \
	}

GIVING_DOOR(malloc, (size_t n), (n), n)
GIVING_DOOR(memalign, (size_t align, size_t n), (align, n), n)
GIVING_DOOR(aligned_alloc, (size_t align, size_t n), (align, n), n)
GIVING_DOOR(valloc, (size_t n), (n), n)
GIVING_DOOR(pvalloc, (size_t n), (n), n)

/* A product that overflows is the real function's business: it refuses. */
static inline size_t product(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? 0 : bytes;
}

GIVING_DOOR(calloc, (size_t n, size_t size), (n, size), product(n, size))

static COLD int sampled_posix_memalign(void **p, size_t align, size_t n)
{
	int err = real.posix_memalign(p, align, n);

	heap_sample(err == 0 ? *p : NULL, n);
	return err;
}

EXPORT int posix_memalign(void **p, size_t align, size_t n)
{
	if (likely(heap_passes(n)))
		return real.posix_memalign(p, align, n);
	return sampled_posix_memalign(p, align, n);
}

/* --- the end of a block ---------------------------------------------------------------------- */

/* Nearly all that come here are a sampled block's neighbours. */
static HOT NOINLINE void free_sampled(void *p)
{
	if (heap_may_be_pinned(p) && boot_size(p) != 0)
		return;
	heap_forget(p);
	real.free(p);
}

EXPORT void free(void *p)
{
	if (heap_is_unsampled(p))
		real.free(p);
	else
		free_sampled(p);
}

/* libc has had it since before free, as another name of the same function. */
EXPORT void cfree(void *p)
{
	free(p);
}

/* --- both at once ---------------------------------------------------------------------------- */

static void *move_boot_block(void *p, size_t n)
{
	size_t had = boot_size(p);
	void *q = malloc(n);

	if (q != NULL)
		memcpy(q, p, n < had ? n : had);
	return q;
}

/* The old block is nobody's while the real function decides: another thread may be given its
 * address before that returns.  If it fails the block is still the host's, and so is its record. */
static COLD void *realloc_sampled(void *p, size_t n, bool passes)
{
	struct heap_block old;
	void *q;

	if (p != NULL && boot_size(p) != 0)
		return move_boot_block(p, n);
	heap_take(p, &old);
	q = real.realloc(p, n);
	if (q == NULL && n != 0)
		heap_put_back(p, &old);
	else
		heap_freed(&old);
	if (!passes)
		heap_sample(q, n);
	return q;
}

EXPORT void *realloc(void *p, size_t n)
{
	bool passes = heap_passes(n);

	if (likely(passes) && heap_is_unsampled(p))
		return real.realloc(p, n);
	return realloc_sampled(p, n, passes);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	/* It refuses what overflows, and the old block stays as it is.  Blocks of an allocator in
	 * front of us, which need not have a reallocarray, are not for the realloc behind us. */
	if (__builtin_mul_overflow(n, size, &bytes) || !real.realloc_is_ours)
		return real.reallocarray(p, n, size);
	return realloc(p, bytes);
}
