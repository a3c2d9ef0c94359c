/* httpd/legacy_text.h -- the first lines and the rows of gperftools' texts, and their last lines.
 *
 *     heap profile: 1: 1024 [2: 2048] @ heap_v2/524288        legacy_text_heap
 *     heap profile: 2: 2048 [2: 2048] @ growth                legacy_text_growth
 *     1: 1024 [2: 2048] @ 0x401235 0x401342                   text_heap_values, text_addresses
 *
 *     --- contention:                                         legacy_text_contention
 *     cycles/second=1000000000
 *     sampling period=1
 *     1500 2 @ 0x401235 0x401342                              legacy_text_delay, text_addresses
 *
 *     MAPPED_LIBRARIES:
 *     00401000-00405000 r-xp 00001000 08:01 12345 /bin/app    legacy_text_mapping
 *
 * Readers know no sign and divide by nearly everything: there is no number below 0 here, no object
 * of no bytes, and no wait that was none.
 *
 * Context   any; pure.
 * Tests     test/unit/legacy_text_test.c */
#ifndef HTTPD_LEGACY_TEXT_H
#define HTTPD_LEGACY_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/buf.h"
#include "encode/text.h"
#include "sampler/modules.h"

/* True: readers scale what was sampled at this rate (legacy_scale.h).  False: all was recorded, or
 * none is, and they take rows as they are: of the one reader a rate of 1 would make more of small
 * objects, the other takes 0 for 128 KiB. */
static inline bool legacy_text_is_scaled(uint64_t rate_bytes)
{
	return rate_bytes > 1;
}

/* As it may stand in a row.  False: there is nothing in it. */
bool legacy_text_clean(struct text_heap *v);

/* total: of all clean rows.  alloc_bytes is said one higher where it is inuse_bytes, as text.h does
 * and for the same reason. */
void legacy_text_heap(struct buf *b, const struct text_heap *total, uint64_t rate_bytes);
/* Only what grew: alloc_*, said twice. */
void legacy_text_growth(struct buf *b, const struct text_heap *total);

void legacy_text_contention(struct buf *b);
/* False: nothing, and nothing was written. */
bool legacy_text_delay(struct buf *b, int64_t delay_ns, int64_t waits);

/* A module as /proc/PID/maps has its code, which is all that readers want of it. */
void legacy_text_mapping(struct buf *b, const struct module *m);

#endif
