#include "httpd/symbols_sort.h"

#define SIFTS_AT_ONCE 1024      /* some 100 us */

/* Puts x where it belongs in the heap below the free place `root`: the greatest is at 0. */
static void sift(struct symbols_entry *entry, uint32_t count, uint32_t root, struct symbols_entry x)
{
	for (;;) {
		uint64_t child = 2 * (uint64_t)root + 1;

		if (child >= count)
			break;
		if (child + 1 < count && entry[child].key < entry[child + 1].key)
			child++;
		if (x.key >= entry[child].key)
			break;
		entry[root] = entry[child];
		root = (uint32_t)child;
	}
	entry[root] = x;
}

/* The first count / 2 of *at make the heap, from its last parent up; then each takes the greatest
 * out of it. */
bool symbols_sort_step(struct symbols_entry *entry, uint32_t count, uint64_t *at)
{
	uint64_t parents = count / 2, end = parents + count;

	for (uint32_t i = 0; i < SIFTS_AT_ONCE && *at < end; i++, ++*at) {
		if (*at < parents) {
			uint32_t root = (uint32_t)(parents - 1 - *at);

			sift(entry, count, root, entry[root]);
		} else {
			uint32_t last = (uint32_t)(end - 1 - *at);
			struct symbols_entry x = entry[last];

			entry[last] = entry[0];
			if (last > 0)
				sift(entry, last, 0, x);
		}
	}
	return *at < end;
}
