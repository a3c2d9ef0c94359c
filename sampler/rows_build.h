/* sampler/rows_build.h -- compiles an object's unwind tables into rows, some at a time.
 *
 * A row says what cfi_find_row says, or RULES_ASK: nothing is guessed.
 *
 * Context   our thread.
 * Units     addresses as in struct cfi_object, with moved added.
 * Memory    while it builds, ROWS_BUILD_ROOM times the tables' bytes of address space, touched as
 *           it fills; then what the rows take.  A fork child finds zeros there. */
#ifndef SAMPLER_ROWS_BUILD_H
#define SAMPLER_ROWS_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "sampler/rows.h"

/* All objects of a Debian 12: rows and index are 1.6 times .eh_frame (unwinding.md 1f). */
#define ROWS_BUILD_ROOM 3

struct rows_build {
	struct cfi_object object;
	uintptr_t         image;        /* what offsets count from */
	void             *room;         /* for the rows, then their index */
	size_t            bytes;
	struct row       *row;
	uint32_t          count, max;
	uint64_t          entry, entries;
	uintptr_t         last_start;   /* of an entry: an offset */
	uintptr_t         reach;        /* the highest end of a record so far: an offset */
	bool              odd, bad;
	struct cfi_work   work;
};

/* Begin.  object must stay readable until the end.  False: its header lists nothing, or there is
 * no memory. */
bool rows_build_begin(struct rows_build *b, const struct cfi_object *object, uintptr_t image);

/* Go on with at most `entries` FDEs.  True: more is left. */
bool rows_build_go_on(struct rows_build *b, unsigned entries);

/* The end: all memory but that of *out, *bytes at out->row, is given back.  False: the tables make
 * no sense, or need more than the room; nothing is kept. */
bool rows_build_end(struct rows_build *b, struct rows *out, size_t *bytes);

/* Give up before the end. */
void rows_build_drop(struct rows_build *b);

#endif
