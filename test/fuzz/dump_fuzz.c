/* Any bytes as a heap profile of jemalloc: rows are within their bounds, and the same however the
 * text is cut. */
#include <stdbool.h>
#include <stdint.h>

#include "fuzz/wall.h"
#include "httpd/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	const struct dump *of;
	uint64_t rows, hash;
};

static void demand(int ok)
{
	if (!ok)
		__builtin_trap();
}

static void add(struct sum *s, uint64_t n)
{
	s->hash = (s->hash ^ n) * UINT64_C(0x100000001b3);
}

static void take(void *with, const struct dump_row *row)
{
	struct sum *s = with;

	demand(s->of->rate != 0 && !s->of->whole);
	demand(row->depth > 0 && row->depth <= DUMP_FRAMES_MAX);
	demand(row->inuse_objects >= 0 && row->inuse_bytes >= row->inuse_objects);
	demand(row->alloc_objects >= row->inuse_objects && row->alloc_bytes >= row->inuse_bytes);
	demand(row->alloc_objects > 0 && row->alloc_bytes >= row->alloc_objects);
	for (unsigned i = 0; i < row->depth; i++)
		add(s, row->frame[i]);
	add(s, (uint64_t)row->inuse_bytes);
	add(s, (uint64_t)row->alloc_bytes);
	s->rows++;
}

static void read_in(struct dump *d, struct sum *s, const uint8_t *data, size_t size, size_t step)
{
	memset(d, 0, sizeof(*d));
	*s = (struct sum){ .of = d };
	d->row = take;
	d->with = s;
	for (size_t at = 0; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;

		dump_feed(d, wall_copy(data + at, n), n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dump whole, pieces;
	struct sum a, b;

	if (size >= WALL_ROOM)
		return 0;
	read_in(&whole, &a, data, size, size + 1);
	read_in(&pieces, &b, data, size, 1 + size % 61);
	demand(a.rows == b.rows && a.hash == b.hash && whole.whole == pieces.whole);
	return 0;
}
