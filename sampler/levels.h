/* sampler/levels.h -- the index of our hash tables: levels of buckets, each level eight times the
 * previous one, the last one what is left of the budget.
 *
 * A key has two buckets of 16 words (two cache lines) on each level.  It is put into the first free
 * word of the first level that has one, so the memory touched follows the number of keys, nothing
 * is ever moved, and readers need no lock.  A look-up tries the levels in use from the first on.
 * Words are 0 (free) or what the owner of the table likes.
 *
 * Context   levels_init: once, before use.  levels_clear: while nobody else is here.  The rest:
 *           any, inside handlers.
 * When full the owner finds no free word in any bucket of its key, and drops: the first key when
 *           half of the words are in use, one in ten thousand at two thirds (levels_test.c). */
#ifndef SAMPLER_LEVELS_H
#define SAMPLER_LEVELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

#define LEVELS_MAX     6
#define LEVELS_BUCKET  16       /* words: 128 bytes, which processors fetch together */
#define LEVELS_CHOICES 2        /* buckets of a key on a level */
#define LEVELS_FIRST   256      /* buckets of level 0: 32 KiB */

struct levels {
	_Atomic(uint64_t) *words;               /* all levels, one after the other; mapped lazily */
	size_t             bytes;
	unsigned           count;
	size_t             before[LEVELS_MAX];  /* buckets of all levels before this one */
	size_t             buckets[LEVELS_MAX];
};

/* Room for `words` words, 4096 at least.  0 or -ENOMEM; *l is then as before. */
MUST_CHECK int levels_init(struct levels *l, size_t words);
void levels_free(struct levels *l);
/* Empty again; its memory goes back to the kernel. */
void levels_clear(struct levels *l);

static inline size_t levels_words(const struct levels *l)
{
	return (l->before[l->count - 1] + l->buckets[l->count - 1]) * LEVELS_BUCKET;
}

/* Index of the first word of one of the buckets of hash on a level. */
static inline size_t levels_bucket(const struct levels *l, uint64_t hash, unsigned level,
				   unsigned choice)
{
	uint64_t h = choice == 0 ? hash : hash << 32 | hash >> 32;
	size_t bucket = (size_t)(((unsigned __int128)h * l->buckets[level]) >> 64);

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

/* The next id of a table whose rows are numbered from 1; 0 when max ids are taken. */
static inline uint32_t levels_next_id(_Atomic uint32_t *next, uint32_t max)
{
	uint32_t id = atomic_load_explicit(next, memory_order_relaxed);

	do {
		if (id >= max)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(next, &id, id + 1, memory_order_relaxed,
							memory_order_relaxed));
	return id;
}

/* A table of rows that are stored once and found by their key. */
struct levels_table {
	/* True if the row with this id has this key.  Its words are published, so it is written. */
	bool (*is)(const void *table, uint32_t id, const void *key);
	/* A new row with this key; 0 when full. */
	uint32_t (*make)(void *table, const void *key);
};

/* The word where a look-up ends: that of the row with this key, or the first free one (*id 0);
 * NULL: all are full.  It begins at *at, which counts the words of a key, and leaves it there.
 * Words: low half of the hash << 32 | id. */
static inline _Atomic(uint64_t) *levels_look(const struct levels *l, uint64_t hash,
					     const struct levels_table *t, const void *table,
					     const void *key, unsigned *at, uint32_t *id)
{
	while (*at < l->count * LEVELS_CHOICES * LEVELS_BUCKET) {
		unsigned bucket = *at / LEVELS_BUCKET, end = (bucket + 1) * LEVELS_BUCKET;
		_Atomic(uint64_t) *word =
			&l->words[levels_bucket(l, hash, bucket / LEVELS_CHOICES,
						bucket % LEVELS_CHOICES) +
				  *at % LEVELS_BUCKET];

		for (; *at < end; ++*at, word++) {
			uint64_t is = atomic_load_explicit(word, memory_order_acquire);

			*id = (uint32_t)is;
			if (is == 0 ||
			    (is >> 32 == (hash & 0xffffffffu) && t->is(table, *id, key)))
				return word;
		}
	}
	*id = 0;
	return NULL;
}

/* The id of the row with this key; 0: there is none. */
static inline uint32_t levels_find(const struct levels *l, uint64_t hash,
				   const struct levels_table *t, const void *table, const void *key)
{
	unsigned at = 0;
	uint32_t id;

	(void)levels_look(l, hash, t, table, key, &at, &id);
	return id;
}

/* The same, made if it is new; 0 when full.  Two threads that add the same key at once may each
 * make a row; the one whose word comes second finds the first's in its place and uses that, and
 * nobody finds the row left over. */
static inline uint32_t levels_intern(const struct levels *l, uint64_t hash,
				     const struct levels_table *t, void *table, const void *key)
{
	uint32_t made = 0, id;
	unsigned at = 0;

	for (;;) {
		_Atomic(uint64_t) *word = levels_look(l, hash, t, table, key, &at, &id);
		uint64_t is = 0;

		if (word == NULL || id != 0)
			return id;
		if (made == 0 && (made = t->make(table, key)) == 0)
			return 0;
		if (atomic_compare_exchange_strong_explicit(word, &is, hash << 32 | made,
							    memory_order_acq_rel,
							    memory_order_acquire))
			return made;
		/* Somebody was here first: look at this word again. */
	}
}

#endif
