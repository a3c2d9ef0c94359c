#include "sampler/wholes.h"

/* Words of an entry. */
enum { WHOLE_SUM, WHOLE_IS, WHOLE_WORDS };

#define WHOLES_BUCKET (LEVELS_BUCKET / WHOLE_WORDS)     /* entries */

int wholes_init(struct wholes *w, size_t stacks)
{
	return levels_init(&w->index, stacks * WHOLE_WORDS);
}

void wholes_free(struct wholes *w)
{
	levels_free(&w->index);
}

void wholes_clear(struct wholes *w)
{
	levels_clear(&w->index);
}

/* --- hash ------------------------------------------------------------------------------------ */

/* Both halves of a product, each bit of which depends on both factors. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Odd numbers with as many bits set as not: the fractions of square roots (SHA-512's, FIPS 180-4),
 * the last bit set. */
#define SALT_ONE   UINT64_C(0x6a09e667f3bcc909)
#define SALT_TWO   UINT64_C(0xbb67ae8584caa73b)
#define SALT_WORLD UINT64_C(0x3c6ef372fe94f82b)

/* Two addresses to a multiplication: one after the other they are waited for. */
HOT uint64_t wholes_hash(uint64_t world, const uintptr_t *pc, unsigned depth)
{
	uint64_t h = fold(world ^ SALT_WORLD, depth + SALT_TWO);
	unsigned i = 0;

	for (; i + 1 < depth; i += 2)
		h = fold(pc[i] ^ SALT_ONE ^ h, pc[i + 1] ^ SALT_TWO);
	if (i < depth)
		h = fold(pc[i] ^ SALT_ONE ^ h, SALT_TWO);
	return levels_hash(h);
}

/* --- entries --------------------------------------------------------------------------------- */

/* The first entry of the hash's bucket on a level. */
static _Atomic(uint64_t) *bucket(const struct wholes *w, uint64_t hash, unsigned level)
{
	return &w->index.words[levels_bucket(&w->index, hash, level, 0)];
}

/* Acquire: the nodes of the stack are seen with its id. */
static uint64_t what_is(_Atomic(uint64_t) *entry)
{
	return atomic_load_explicit(&entry[WHOLE_IS], memory_order_acquire);
}

/* What is not on a level whose bucket has room is on no later one. */
HOT struct whole wholes_find(const struct wholes *w, uint64_t hash)
{
	for (unsigned level = 0; level < w->index.count; level++) {
		_Atomic(uint64_t) *entry = bucket(w, hash, level);

		for (unsigned i = 0; i < WHOLES_BUCKET; i++, entry += WHOLE_WORDS) {
			uint64_t is = what_is(entry);

			if (is == 0)
				return (struct whole){ 0, 0 };
			if ((atomic_load_explicit(&entry[WHOLE_SUM], memory_order_relaxed) ^ is) ==
			    hash)
				return (struct whole){ (uint32_t)is, (uint32_t)(is >> 32) };
		}
	}
	return (struct whole){ 0, 0 };
}

/* The first free entry; if there is none, one of the last level's, by bits of the hash that chose
 * no bucket. */
static _Atomic(uint64_t) *entry_for(const struct wholes *w, uint64_t hash)
{
	_Atomic(uint64_t) *entry = NULL;

	for (unsigned level = 0; level < w->index.count; level++) {
		entry = bucket(w, hash, level);
		for (unsigned i = 0; i < WHOLES_BUCKET; i++)
			if (what_is(&entry[i * WHOLE_WORDS]) == 0)
				return &entry[i * WHOLE_WORDS];
	}
	return &entry[hash % WHOLES_BUCKET * WHOLE_WORDS];
}

void wholes_add(struct wholes *w, uint64_t hash, struct whole whole)
{
	uint64_t is = whole.id | (uint64_t)whole.stack_hash << 32;
	_Atomic(uint64_t) *entry = entry_for(w, hash);

	atomic_store_explicit(&entry[WHOLE_SUM], hash ^ is, memory_order_relaxed);
	atomic_store_explicit(&entry[WHOLE_IS], is, memory_order_release);
}
