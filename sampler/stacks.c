/* The trie is kept root-first (parent = caller), because stacks differ at their leaves: a service
 * thread shares everything up to its request loop.  Nearly every CPU stack of a compiler is new
 * and still takes half of a flat copy (what-breaks.md F). */
#include "sampler/stacks.h"

#include <errno.h>

#include "sampler/os.h"

static uint64_t hash_node(uint32_t parent, frame_t frame)
{
	return levels_hash(frame + parent * UINT64_C(0x9e3779b97f4a7c15));
}

static uint32_t hash_frames(uint32_t callers, frame_t frame)
{
	return (uint32_t)levels_hash(frame ^ (uint64_t)callers << 32);
}

int stacks_init(struct stacks *s, uint64_t budget_bytes)
{
	uint32_t nodes_max = (uint32_t)(budget_bytes / STACKS_NODE_BYTES);
	struct stacks_node *node = os_map_wiped(nodes_max * sizeof(*node));
	int err;

	if (node == NULL)
		return -ENOMEM;
	err = levels_init(&s->index, nodes_max + nodes_max / 2);
	if (err == 0) {
		err = wholes_init(&s->wholes, nodes_max / 8);
		if (err < 0)
			levels_free(&s->index);
	}
	if (err < 0) {
		os_unmap(node, nodes_max * sizeof(*node));
		return err;
	}
	s->node = node;
	s->nodes_max = nodes_max;
	s->room = nodes_max;
	s->nodes = 1;
	return 0;
}

void stacks_free(struct stacks *s)
{
	os_unmap(s->node, s->nodes_max * sizeof(*s->node));
	levels_free(&s->index);
	wholes_free(&s->wholes);
	s->node = NULL;
	s->nodes_max = 0;
	s->room = 0;
	s->nodes = 0;
}

void stacks_clear(struct stacks *s)
{
	os_clear(s->node, s->nodes_max * sizeof(*s->node));
	levels_clear(&s->index);
	wholes_clear(&s->wholes);
	atomic_store_explicit(&s->nodes, 1, memory_order_relaxed);
}

struct key {
	uint32_t parent;
	frame_t  frame;
};

static bool is_node(const void *table, uint32_t id, const void *key)
{
	const struct stacks_node *n = &((const struct stacks *)table)->node[id];
	const struct key *k = key;

	return n->frame == k->frame && n->parent == k->parent;
}

static uint32_t make_node(void *table, const void *key)
{
	struct stacks *s = table;
	const struct key *k = key;
	uint32_t room = atomic_load_explicit(&s->room, memory_order_relaxed);
	uint32_t id = levels_next_id(&s->nodes, room);

	if (id != 0) {
		uint32_t hash = hash_frames(stacks_hash(s, k->parent), k->frame);

		s->node[id].frame = k->frame;
		s->node[id].parent = k->parent;
		__atomic_store_n(&s->node[id].hash, hash & ~STACKS_FOUND, __ATOMIC_RELAXED);
	}
	return id;
}

/* A stack that was new got ids one after the other, so a node's first child is mostly the next one:
 * that saves the look-up, 150 instructions a frame and more.  Not one that a race left over
 * (levels_intern): only what was found by its index is marked. */
static bool follows(const struct stacks *s, uint32_t parent, frame_t frame)
{
	const struct stacks_node *next = &s->node[parent + 1];

	return parent + 1 < s->nodes_max &&
	       (__atomic_load_n(&next->hash, __ATOMIC_ACQUIRE) & STACKS_FOUND) != 0 &&
	       next->frame == frame && next->parent == parent;
}

HOT uint32_t stacks_child(struct stacks *s, uint32_t parent, frame_t frame)
{
	static const struct levels_table nodes = { is_node, make_node };
	struct key key = { parent, frame };
	uint32_t id;

	if (follows(s, parent, frame))
		return parent + 1;
	id = levels_intern(&s->index, hash_node(parent, frame), &nodes, s, &key);
	if (id == parent + 1)
		__atomic_store_n(&s->node[id].hash, stacks_hash(s, id), __ATOMIC_RELEASE);
	return id;
}

unsigned stacks_frames(const struct stacks *s, uint32_t id, frame_t *frame, unsigned max)
{
	unsigned n = 0;

	for (; id != 0 && n < max; id = s->node[id].parent)
		frame[n++] = s->node[id].frame;
	return n;
}

bool stacks_same(const struct stacks *a, uint32_t id_a, const struct stacks *b, uint32_t id_b)
{
	for (; !(a == b && id_a == id_b); id_a = a->node[id_a].parent, id_b = b->node[id_b].parent)
		if (id_a == 0 || id_b == 0 || a->node[id_a].frame != b->node[id_b].frame)
			return id_a == 0 && id_b == 0;
	return true;
}

uint32_t stacks_nodes(const struct stacks *s)
{
	uint32_t n = atomic_load_explicit(&s->nodes, memory_order_relaxed);

	return n == 0 ? 0 : n - 1;
}
