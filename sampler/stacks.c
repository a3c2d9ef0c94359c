/* The trie is kept root-first (parent = caller), because stacks differ at their leaves: a service
 * thread shares everything up to its request loop.  Nearly every CPU stack of a compiler is new
 * and still takes half of a flat copy (what-breaks.md F). */
#include "sampler/stacks.h"

#include <errno.h>
#include <stdbool.h>

#include "sampler/os.h"

static uint64_t hash_node(uint32_t parent, frame_t frame)
{
	return levels_hash(frame + parent * UINT64_C(0x9e3779b97f4a7c15));
}

int stacks_init(struct stacks *s, uint64_t budget_bytes)
{
	/* 16 bytes a node and a word and a half of index, which leaves a third of the words
	 * free. */
	uint32_t nodes_max = (uint32_t)(budget_bytes / (sizeof(struct stacks_node) + 12));
	struct stacks_node *node = os_map(nodes_max * sizeof(*node));
	int err;

	if (node == NULL)
		return -ENOMEM;
	err = levels_init(&s->index, nodes_max + nodes_max / 2);
	if (err < 0) {
		os_unmap(node, nodes_max * sizeof(*node));
		return err;
	}
	s->node = node;
	s->nodes_max = nodes_max;
	s->nodes = 1;
	return 0;
}

static bool is_node(const struct stacks *s, uint64_t word, uint64_t hash, uint32_t parent,
		    frame_t frame)
{
	const struct stacks_node *n = &s->node[(uint32_t)word];

	return (word >> 32) == (hash & 0xffffffffu) && n->frame == frame && n->parent == parent;
}

/* A node of our own, not yet published; 0 when full. */
static uint32_t new_node(struct stacks *s, uint32_t parent, frame_t frame)
{
	uint32_t id = atomic_load_explicit(&s->nodes, memory_order_relaxed);

	do {
		if (id >= s->nodes_max)
			return 0;
	} while (!atomic_compare_exchange_weak_explicit(&s->nodes, &id, id + 1,
							memory_order_relaxed,
							memory_order_relaxed));
	s->node[id].frame = frame;
	s->node[id].parent = parent;
	s->node[id].depth = parent != 0 ? s->node[parent].depth + 1 : 1;
	return id;
}

/* Two threads that add the same node at once may each take an id; the one whose word comes second
 * finds the first's in its place and uses that.  The node left over is lost: 16 bytes. */
uint32_t stacks_child(struct stacks *s, uint32_t parent, frame_t frame)
{
	uint64_t hash = hash_node(parent, frame);
	uint32_t mine = 0;

	for (unsigned level = 0; s->node != NULL && level < s->index.count; level++) {
		_Atomic(uint64_t) *bucket = &s->index.words[levels_bucket(&s->index, hash, level)];

		for (unsigned i = 0; i < LEVELS_BUCKET; i++) {
			uint64_t word = atomic_load_explicit(&bucket[i], memory_order_acquire);

			if (word == 0) {
				if (mine == 0 && (mine = new_node(s, parent, frame)) == 0)
					return 0;
				if (atomic_compare_exchange_strong_explicit(
					    &bucket[i], &word, hash << 32 | mine,
					    memory_order_acq_rel, memory_order_acquire))
					return mine;
			}
			if (is_node(s, word, hash, parent, frame))
				return (uint32_t)word;
		}
	}
	return 0;
}

unsigned stacks_frames(const struct stacks *s, uint32_t id, frame_t *frame, unsigned max)
{
	unsigned n = 0;

	for (; id != 0 && n < max; id = s->node[id].parent)
		frame[n++] = s->node[id].frame;
	return n;
}

uint32_t stacks_nodes(const struct stacks *s)
{
	uint32_t n = atomic_load_explicit(&s->nodes, memory_order_relaxed);

	return n == 0 ? 0 : n - 1;
}
