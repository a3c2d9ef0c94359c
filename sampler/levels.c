#include "sampler/levels.h"

#include <errno.h>

#include "sampler/os.h"

int levels_init(struct levels *l, size_t words)
{
	size_t left = words / LEVELS_BUCKET, next = LEVELS_FIRST, before = 0;
	struct levels made = { .bytes = (words + LEVELS_FIRST * LEVELS_BUCKET) * 8 };

	made.words = os_map_wiped(made.bytes);
	if (made.words == NULL)
		return -ENOMEM;
	do {
		/* A last level that would be smaller than the one before is added to it. */
		size_t n = made.count + 1 == LEVELS_MAX || left < 2 * next ? left : next;

		if (n < LEVELS_FIRST)
			n = LEVELS_FIRST;
		made.before[made.count] = before;
		made.buckets[made.count] = n;
		made.count++;
		before += n;
		left = left > n ? left - n : 0;
		next *= 8;
	} while (left > 0);
	*l = made;
	return 0;
}

void levels_free(struct levels *l)
{
	os_unmap((void *)(uintptr_t)l->words, l->bytes);
	*l = (struct levels){ .words = NULL };
}

void levels_clear(struct levels *l)
{
	os_clear((void *)(uintptr_t)l->words, l->bytes);
}
