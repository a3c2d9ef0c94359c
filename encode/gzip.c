#include "encode/gzip.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define ZLIB_CONST
#include <zlib.h>

#define PIECE_BYTES  16384u
#define WINDOW_BITS  (15 + 16)  /* 32 KiB; 16: a gzip member, not a zlib stream */
#define MEMORY_LEVEL 8
#define OS_UNKNOWN   255

struct gzip {
	struct sink  in;                /* first, so that write finds the rest */
	struct sink *out;
	z_stream     z;
	gz_header    header;            /* zlib reads it when the first byte goes out */
	bool         failed;
	uint8_t      piece[PIECE_BYTES];
};

static voidpf alloc_from_arena(voidpf arena, uInt items, uInt size)
{
	return arena_alloc(arena, (size_t)items * size);
}

static void free_nothing(voidpf arena, voidpf p)
{
	(void)arena;
	(void)p;
}

/* Compresses z.next_in until zlib wants more of it, or with Z_FINISH to the end. */
static void compress_input(struct gzip *z, int flush)
{
	int err;

	do {
		z->z.next_out = z->piece;
		z->z.avail_out = PIECE_BYTES;
		err = deflate(&z->z, flush);
		if (err == Z_STREAM_ERROR) {
			z->failed = true;
			return;
		}
		if (z->z.avail_out < PIECE_BYTES)
			sink_write(z->out, z->piece, PIECE_BYTES - z->z.avail_out);
	} while (z->z.avail_out == 0);
	if (flush == Z_FINISH && err != Z_STREAM_END)
		z->failed = true;
}

static void write_in(struct sink *s, const void *bytes, size_t n)
{
	struct gzip *z = (struct gzip *)s;
	const uint8_t *at = bytes;

	while (n > 0 && !z->failed) {
		uInt part = n < UINT_MAX ? (uInt)n : UINT_MAX;

		z->z.next_in = at;
		z->z.avail_in = part;
		compress_input(z, Z_NO_FLUSH);
		at += part;
		n -= part;
	}
}

struct gzip *gzip_begin(struct arena *arena, struct sink *out, int level)
{
	struct gzip *z = arena_alloc(arena, sizeof(*z));

	if (z == NULL)
		return NULL;
	z->in.write = write_in;
	z->out = out;
	z->z.zalloc = alloc_from_arena;
	z->z.zfree = free_nothing;
	z->z.opaque = arena;
	z->header.os = OS_UNKNOWN;      /* as Go: the bytes do not depend on where they come from */
	if (deflateInit2(&z->z, level, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	(void)deflateSetHeader(&z->z, &z->header);
	return z;
}

struct sink *gzip_sink(struct gzip *z)
{
	return &z->in;
}

int gzip_end(struct gzip *z)
{
	if (!z->failed)
		compress_input(z, Z_FINISH);
	return z->failed ? -EIO : 0;
}
