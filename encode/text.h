/* encode/text.h -- the pieces of Go's debug=1 texts, and the heap's.
 *
 *     heap profile: 1: 1024 [2: 2048] @ heap/1048576      text_heap_head
 *     1: 1024 [2: 2048] @ 0x401235 0x401342               text_heap_row, text_addresses
 *     #	0x401234	work+0x14	app:0               text_frames
 *     #	0x401341	main+0x21	app:0
 *
 *
 *     # runtime.MemStats                                  text_stats
 *     # Alloc = 1024
 *
 * Any profile is rows: the kind's own values, text_addresses, text_frames.
 *
 * Context   any; pure.
 * Units     addresses are call addresses, as in the binary form: a return address less one.
 * Strings   control characters are written as '?', so that no name can pose as a row; what is not
 *           UTF-8 as U+FFFD, for the answer says that it is. */
#ifndef ENCODE_TEXT_H
#define ENCODE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "encode/buf.h"

/* One function of a stack: an address has several of them where calls were inlined. */
struct text_frame {
	uint64_t    address;
	const char *name;               /* NULL: not known, and nothing below it is read */
	uint64_t    offset_in_function;
	const char *file;
	int64_t     line;
};

struct text_heap {
	int64_t inuse_objects, inuse_bytes;
	int64_t alloc_objects, alloc_bytes;
};

/* "# name = value"; value is text, for Go prints numbers, pairs and lists here. */
struct text_stat {
	const char *name, *value;
};

/* " @ 0x.. 0x..\n", leaf first, each as the return address that it was; 0x0 if there is none, for a
 * row without addresses is refused. */
void text_addresses(struct buf *b, const uint64_t *address, size_t addresses);

/* A name from the host, as it may stand within a line. */
void text_name(struct buf *b, const char *name);
/* The same where one more character would be taken for something else. */
void text_name_without(struct buf *b, const char *name, char bad, char instead);

/* The comment block of a row and the empty line after it.  Columns are aligned by tabs as Go's
 * text/tabwriter (1, 8, 1, tab) aligns them; a frame without a name starts a new alignment. */
void text_frames(struct buf *b, const struct text_frame *frame, size_t frames);
/* The same without the empty line. */
void text_lines(struct buf *b, const struct text_frame *frame, size_t frames);

/* "1: 1024 [2: 2048]", as they are. */
void text_heap_values(struct buf *b, const struct text_heap *v);
/* The sum of all rows, as far as the "@".  alloc_bytes is said one higher where it equals
 * inuse_bytes: a reader would take the rows for a profile of two columns. */
void text_heap_total(struct buf *b, const struct text_heap *total);

/* The whole line.  rate_bytes is the mean of the sampling; the text says twice of it, for readers
 * halve it. */
void text_heap_head(struct buf *b, const struct text_heap *total, uint64_t rate_bytes);

/* The values of one row; text_addresses and text_frames follow.  Bytes of no objects are left out:
 * a reader refuses the whole text for them. */
void text_heap_row(struct buf *b, const struct text_heap *row);

/* The footer. */
void text_stats(struct buf *b, const struct text_stat *stat, size_t stats);

#endif
