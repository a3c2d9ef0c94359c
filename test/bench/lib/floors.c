/* floors -- malloc and free with the least that a sampling profiler needs there, and never a sample: what
 * each way to know a sampled block costs the others.  -DFLOOR=
 *   0  only forwards
 *   1  ours: a countdown in one instruction; a map of pages, by the low half of the address
 *   2  countdown; sampled blocks would be page-aligned: the low bits of the address
 *   3  countdown; page-aligned where the chunk's size word (glibc's) is small, else a map by a hash
 *   4  countdown; a map by a hash of the address
 *   5  countdown as compilers make it; a map of pages, 1 GiB apart in one cell */
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/countdown.h"

#define EXPORT __attribute__((visibility("default")))
#define SMALL_MAX 2064          /* glibc's size word of a block of 2 KiB */

void *malloc(size_t n);
void free(void *p);

static void *first_malloc(size_t n);
static void first_free(void *p);

static struct {
	void *(*malloc)(size_t n);
	void (*free)(void *p);
} real = { first_malloc, first_free };

static void resolve(void)
{
	*(void **)&real.malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&real.free = dlsym(RTLD_NEXT, "free");
}

static void *first_malloc(size_t n)
{
	resolve();
	return real.malloc(n);
}

static void first_free(void *p)
{
	resolve();
	real.free(p);
}

static _Thread_local uint64_t left;
static _Atomic uint8_t map[1 << 20];

static inline bool marked(size_t cell)
{
	return __atomic_load_n((uint8_t *)&map[cell], __ATOMIC_RELAXED) != 0;
}

static inline bool passes(size_t n)
{
	if (FLOOR == 0)
		return true;
	if (FLOOR != 5)
		return !countdown(&left, n);
	if (n >= left)
		return false;
	left -= n;
	return true;
}

static inline bool is_aligned(const void *p)
{
	return ((uintptr_t)p & 4095) == 0 && p != NULL;
}

static inline size_t hash(const void *p)
{
	return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48);
}

static inline bool may_be_sampled(const void *p)
{
	switch (FLOOR) {
	case 1:
		return marked((uint32_t)(uintptr_t)p >> 12);
	case 2:
		return is_aligned(p);
	case 3:
		return is_aligned(p) ||
		       (p != NULL && ((const size_t *)p)[-1] > SMALL_MAX && marked(hash(p)));
	case 4:
		return marked(hash(p));
	case 5:
		return marked((uintptr_t)p >> 12 & 0x3ffff);
	default:
		return false;
	}
}

static COLD void *pass(size_t n)
{
	left = UINT64_C(1) << 62;
	return real.malloc(n);
}

/* As far as a look-up that finds nothing. */
static COLD void look(void *p)
{
	static volatile unsigned looks;

	looks++;
	real.free(p);
}

EXPORT void *malloc(size_t n)
{
	return likely(passes(n)) ? real.malloc(n) : pass(n);
}

EXPORT void free(void *p)
{
	if (likely(!may_be_sampled(p)))
		real.free(p);
	else
		look(p);
}
