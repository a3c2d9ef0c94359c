/* sampler/ranges.h -- what is executable now: the sorted table that handlers search.
 *
 * The table exists twice: a scan fills the one not in use and then advances the version, so a
 * reader that sees the same version before and after has read a consistent one, and what it reads
 * is always mapped.
 *
 * Context   ranges_find, ranges_version: any, inside handlers, lock-free.  The rest: one caller at
 * a time (modules.c). When full (MODULES_LIVE_MAX) a range is left out and adds to
 * count.module_no_row. */
#ifndef SAMPLER_RANGES_H
#define SAMPLER_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/cfi.h"

struct tables;
struct module;

struct range {
	uintptr_t         start, limit;
	uintptr_t         image;        /* of the object: lowest address.  0: code without one */
	struct tables    *tables;       /* NULL: none */
	struct cfi_object place;        /* where they can be read */
	bool              permanent;    /* there at start: it means the same for ever */
	struct module    *module;       /* of a later object; NULL: none */
};

/* Fill the next table; nobody sees it before ranges_publish. */
void ranges_begin(void);
void ranges_insert(const struct range *range);
void ranges_publish(void);

/* How many tables were published so far.  Context: any. */
uint32_t ranges_version(void);

/* The range that holds pc. */
bool ranges_find(uintptr_t pc, struct range *out);

#endif
