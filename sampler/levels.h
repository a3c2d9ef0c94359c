/* sampler/levels.h -- the index of our hash tables: levels of buckets, each level eight times the
 * previous one, the last one what is left of the budget.
 *
 * A key has one bucket of 8 words (a cache line) on each level.  It is put into the first free word
 * of the first level that has one, so the memory touched follows the number of keys, nothing is
 * ever moved, and readers need no lock.  A look-up tries the levels in use from the first on.
 * Words are 0 (free) or what the owner of the table likes.
 *
 * Context   levels_init: once, before use.  The rest: any, inside handlers.
 * When full the owner finds no free word in any bucket of its key, and drops. */
#ifndef SAMPLER_LEVELS_H
#define SAMPLER_LEVELS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

#define LEVELS_MAX    6
#define LEVELS_BUCKET 8         /* words: 64 bytes */
#define LEVELS_FIRST  512       /* buckets of level 0: 32 KiB */

struct levels {
	_Atomic(uint64_t) *words;               /* all levels, one after the other; mapped lazily */
	unsigned           count;
	size_t             before[LEVELS_MAX];  /* buckets of all levels before this one */
	size_t             buckets[LEVELS_MAX];
};

/* Room for `words` words, 4096 at least.  0 or -ENOMEM; *l is then as before. */
MUST_CHECK int levels_init(struct levels *l, size_t words);

static inline size_t levels_words(const struct levels *l)
{
	return (l->before[l->count - 1] + l->buckets[l->count - 1]) * LEVELS_BUCKET;
}

/* Index of the first word of the bucket of hash on a level. */
static inline size_t levels_bucket(const struct levels *l, uint64_t hash, unsigned level)
{
	size_t bucket = (size_t)(((unsigned __int128)hash * l->buckets[level]) >> 64);

	return (l->before[level] + bucket) * LEVELS_BUCKET;
}

/* Spreads the bits of a key over a hash whose high bits are good (a 64-bit finalizer, constants of
 * Stafford's mix13, as in splitmix64). */
static inline uint64_t levels_hash(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

#endif
