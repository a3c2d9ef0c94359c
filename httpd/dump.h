/* httpd/dump.h -- a reader of jemalloc's heap profiles, as prof.dump writes them:
 *
 *     heap_v2/524288                         mean bytes between samples
 *       t*: 98: 235032 [0: 0]                all of it; and each thread's part
 *     @ 0x55aea2a22460 0x55aea2a22b51        a stack, leaf first, return addresses
 *       t*: 98: 235032 [0: 0]                sampled objects: bytes in use [allocated]
 *       t0: 98: 235032 [0: 0]
 *
 *     MAPPED_LIBRARIES:                      written last: without it a dump is not whole
 *
 * What was sampled stands for 1 / (1 - exp(-size / rate)) as much, size being the mean of its row:
 * so jeprof reads it, and jemalloc writes what then comes out right (prof_data.c, prof_unbias).
 *
 * Context   our thread; pure.
 * Trust     none.  Lines that are not as above are passed over, longer ones than DUMP_LINE_MAX,
 *           too; a stack is cut at DUMP_FRAMES_MAX.
 * Tests     test/unit/dump_test.c, test/fuzz/dump_fuzz.c */
#ifndef HTTPD_DUMP_H
#define HTTPD_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUMP_FRAMES_MAX 128             /* PROF_BT_MAX_LIMIT is more, and nobody's default */
#define DUMP_LINE_MAX   4096            /* of as many frames: 2.5 KB */

/* One stack: what there was of it, not what was sampled. */
struct dump_row {
	uint64_t frame[DUMP_FRAMES_MAX];        /* call addresses: a return address less one */
	unsigned depth;
	int64_t  inuse_objects, inuse_bytes;
	int64_t  alloc_objects, alloc_bytes;    /* at least what is in use: without prof_accum
						 * jemalloc writes 0 */
};

/* All zero, but for `row`: before the first byte. */
struct dump {
	void   (*row)(void *with, const struct dump_row *row);  /* NULL: nobody wants them */
	void    *with;
	uint64_t rate;                  /* 0: it is no such dump, as far as it was read */
	bool     whole;
	bool     begun, has_stack, too_long;
	size_t   len;
	char     line[DUMP_LINE_MAX];
	struct dump_row now;
};

/* Reads on; pieces may end anywhere. */
void dump_feed(struct dump *d, const char *bytes, size_t n);

#endif
