/* sampler/sites.h -- counters by site: what a profile is made of.
 *
 * A site is a stack on a thread of some name, under some labels, and for the heap a class of object
 * sizes.  Its counters only ever grow, so a request is the difference of two readings, and any
 * number of clients can make their own.
 *
 * Context   sites_add, sites_count: any thread, inside handlers.  Readers: any.
 * Memory    the budget; rows are touched as they are used, never move and are never freed.
 * When full sites_row returns 0.
 * Order     a row's key is written before its id is published (release), and never after. */
#ifndef SAMPLER_SITES_H
#define SAMPLER_SITES_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/levels.h"
#include "sampler/compiler.h"

#define SITES_VALUES 8

struct site_key {
	uint32_t stack;         /* id in the profile's stack table */
	uint32_t size;          /* heap: upper bound of the size class, bytes; else 0 */
	uint16_t thread;        /* id of the thread's name (threads.h), 0 unknown */
	uint16_t labels;        /* id of the label set, 0 none */
};

struct site_row {
	struct site_key   key;
	uint32_t          ready;        /* key is written */
	_Atomic(uint64_t) value[SITES_VALUES];
};

struct sites {
	struct site_row *row;           /* [0] is unused: id 0 is "no row" */
	uint32_t         rows_max;
	_Atomic uint32_t rows;          /* ids handed out */
	struct levels    index;         /* word: low half of the hash << 32 | row id */
};

/* 0 or -ENOMEM; *s is then as before. */
MUST_CHECK int sites_init(struct sites *s, uint64_t budget_bytes);

/* The row of this key, made if it is new; 0 when full. */
uint32_t sites_row(struct sites *s, const struct site_key *key);

static inline void sites_add(struct sites *s, uint32_t row, unsigned value, uint64_t n)
{
	atomic_fetch_add_explicit(&s->row[row].value[value], n, memory_order_relaxed);
}

/* One more than the highest row id in use; ids start at 1. */
uint32_t sites_end(const struct sites *s);

/* The key and the counters of a row, each counter read once.  False: not in use (yet). */
bool sites_read(const struct sites *s, uint32_t row, struct site_key *key,
		uint64_t value[SITES_VALUES]);

#endif
