/* sampler/wholes.h -- whole stacks that were met before: from the hash of their addresses to the id
 * and the hash of the stack.
 *
 * Adding a stack to the trie frame by frame is a look-up for each, one behind the other: forty of
 * them are 11,000 instructions and as many cache misses as frames.  A program mostly takes samples
 * where it took some before, and then one look here is all.
 *
 * An entry is two words, what it says and that ^ hash: words that do not belong together, of two
 * threads that wrote at once, have no stack's hash, so nobody waits or claims anything.  What is
 * not here any more, or was never, is looked up in the trie.
 *
 * Trust     a hash is all that is compared.  Two stacks have the same with odds of 1 : 2^64: among
 *           a million different ones, looked up while a million are known, 1 : 18 million that one
 *           is ever counted as another.  (It is no secret: who can choose the addresses on a stack
 *           can make two alike, and has then two stacks of his own counted as one.)
 * Context   wholes_init: once, before.  wholes_clear: while nobody else is here.  The rest: any,
 *           inside handlers.
 * Memory    the budget, in levels that are touched as they fill (levels.h).
 * When full an entry of the last level gives way.
 * Order     whose id this is was written before (release). */
#ifndef SAMPLER_WHOLES_H
#define SAMPLER_WHOLES_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/levels.h"

struct wholes {
	struct levels index;            /* pairs of words */
};

/* Room for so many stacks, 2048 at least.  0 or -ENOMEM; *w is then as before. */
MUST_CHECK int wholes_init(struct wholes *w, size_t stacks);
void wholes_free(struct wholes *w);
/* Empty again; its memory goes back to the kernel. */
void wholes_clear(struct wholes *w);

/* Of the addresses of a stack in all they may mean: `world` numbers what else decides that. */
uint64_t wholes_hash(uint64_t world, const uintptr_t *pc, unsigned depth);

/* What goes with these addresses, in one word. */
struct whole {
	uint32_t id;            /* of the stack; 0: it is not known */
	uint32_t stack_hash;    /* stacks_hash: of its frames, whatever addresses they have */
};

struct whole wholes_find(const struct wholes *w, uint64_t hash);
/* From now on it is known. */
void wholes_add(struct wholes *w, uint64_t hash, struct whole is);

#endif
