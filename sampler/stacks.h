/* sampler/stacks.h -- stacks, each stored once: a trie of (caller, frame) nodes of 16 bytes.
 *
 * A stack is the id of its leaf's node; walking to the root gives the frames leaf first.  Nodes are
 * never moved, and freed all at once: an id stays good until then (generations.h says when), and
 * readers need no lock.
 *
 * Context   stacks_child, stacks_frames, stacks_same: any thread, inside handlers.  stacks_init:
 *           once, before.  stacks_clear: while nobody else is here.
 * Memory    the budget: nodes, an index of words (levels.h), and one of whole stacks (wholes.h);
 *           touched as they fill.
 * When full stacks_child returns 0; the owner may keep room back.
 * Order     a node is written before its id is published (release); after it, only STACKS_FOUND. */
#ifndef SAMPLER_STACKS_H
#define SAMPLER_STACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/levels.h"
#include "sampler/modules.h"
#include "sampler/wholes.h"

struct stacks_node {
	frame_t  frame;
	uint32_t parent;        /* the caller's node; 0: this is the root */
	uint32_t hash;          /* of the frames from here to the root; but STACKS_FOUND */
};

#define STACKS_FOUND 1u         /* set when it was found by its index */

/* A node, a word and a half of index, which leaves a third of the words free; and a whole stack, 16
 * bytes, for every eight of them. */
#define STACKS_NODE_BYTES (sizeof(struct stacks_node) + 12 + 2)

struct stacks {
	struct stacks_node *node;       /* [0] is unused: id 0 is "no stack" */
	uint32_t            nodes_max;
	_Atomic uint32_t    room;       /* <= nodes_max: as many may be in use at present */
	_Atomic uint32_t    nodes;      /* ids handed out, + 1 */
	struct levels       index;      /* word: low half of the hash << 32 | node id */
	struct wholes       wholes;     /* of who adds whole stacks, by their addresses */
};

/* 0 or -ENOMEM; *s is then as before. */
MUST_CHECK int stacks_init(struct stacks *s, uint64_t budget_bytes);
void stacks_free(struct stacks *s);
/* Empty again; its memory goes back to the kernel. */
void stacks_clear(struct stacks *s);

/* The id of the stack that is `parent` (0: none) and this frame called by it; 0 when full. */
uint32_t stacks_child(struct stacks *s, uint32_t parent, frame_t frame);

/* Writes up to max frames, leaf first; returns how many. */
unsigned stacks_frames(const struct stacks *s, uint32_t id, frame_t *frame, unsigned max);

/* The same stack has the same hash in any table. */
static inline uint32_t stacks_hash(const struct stacks *s, uint32_t id)
{
	return __atomic_load_n(&s->node[id].hash, __ATOMIC_RELAXED) | STACKS_FOUND;
}

/* True if two stacks, which may be in different tables, have the same frames. */
bool stacks_same(const struct stacks *a, uint32_t id_a, const struct stacks *b, uint32_t id_b);

/* Nodes in use. */
uint32_t stacks_nodes(const struct stacks *s);

#endif
