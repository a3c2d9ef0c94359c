/* encode/gzip.h -- a sink that writes a gzip member to another sink.  zlib, all of its memory from
 * the arena (some 290 KiB). */
#ifndef ENCODE_GZIP_H
#define ENCODE_GZIP_H

#include "encode/arena.h"
#include "encode/sink.h"

#define GZIP_LEVEL_DEFAULT 1    /* best speed, as Go's pprof */

struct gzip;

/* level 1..9.  NULL if the arena is full. */
struct gzip *gzip_begin(struct arena *arena, struct sink *out, int level);
struct sink *gzip_sink(struct gzip *z);
/* Flushes and writes the trailer.  0 or -EIO. */
int gzip_end(struct gzip *z);

#endif
