/* sampler/sites.h -- counters by site: what a profile is made of.
 *
 * A site is a stack on a thread of some name, under some labels, and for the heap a size of objects
 * or a class of sizes.  Its counters only ever grow, so a request is the difference of two
 * readings, and any number of clients can make their own.  A row that nobody needs any more is
 * given back, and taken again for another site (generations.h says when).
 *
 * Context   sites_take, sites_add: any thread, inside handlers.  sites_give: our thread.  Readers:
 *           any.
 * Memory    the budget; rows are touched as they are used and never move.
 * When full sites_take returns 0.
 * Order     of a row's key the stack is written last (release): with it the row can be read. */
#ifndef SAMPLER_SITES_H
#define SAMPLER_SITES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/pair.h"

#define SITES_VALUES 8

struct site_key {
	uint32_t stack;         /* id in the profile's stack tables */
	uint32_t size;          /* heap: of its objects (heap_sizes.h), bytes; else 0 */
	uint16_t thread;        /* id of the thread's name (threads.h), 0 unknown */
	uint16_t labels;        /* id of the label set, 0 none */
	uint32_t stack_hash;    /* of the stack (stacks_hash), for who knows it; else 0 */
};

struct site_row {
	_Atomic uint32_t  stack;        /* as in site_key; 0: the row is nobody's */
	uint32_t          size;
	uint16_t          thread, labels;
	/* Pairs: 0 and 1, 2 and 3 ... */
	_Alignas(PAIR_ALIGN) _Atomic(uint64_t) value[SITES_VALUES];
};

/* Ids from 1 to rows_max - 1 are handed out in this order, and then what was given back, in the
 * order in which it was. */
struct sites {
	struct site_row   *row;         /* [0] is unused: id 0 is "no row" */
	uint32_t           rows_max;
	_Atomic(uint64_t)  taken;       /* how many were handed out, + 1 */
	_Atomic(uint64_t)  given;       /* how many could have been, + 1 */
	_Atomic(uint32_t) *again;       /* number n that was given back, at n % rows_max */
};

/* Bytes of a row and its place in `again`. */
#define SITES_BYTES (sizeof(struct site_row) + sizeof(uint32_t))

/* 0 or -ENOMEM; *s is then as before. */
MUST_CHECK int sites_init(struct sites *s, uint32_t rows_max);
void sites_free(struct sites *s);
/* All rows are free again.  Context: nobody else is here. */
void sites_clear(struct sites *s);

/* A row that counts nothing yet and that cannot be read before it has a key; 0 when there is
 * none. */
uint32_t sites_take(struct sites *s);
/* The row is nobody's from now on, its counters are 0. */
void sites_give(struct sites *s, uint32_t row);

static inline void sites_set_key(struct sites *s, uint32_t row, const struct site_key *key)
{
	s->row[row].size = key->size;
	s->row[row].thread = key->thread;
	s->row[row].labels = key->labels;
	atomic_store_explicit(&s->row[row].stack, key->stack, memory_order_release);
}

/* Adds to a pair of counters, of which value is the first, as one (pair.h). */
static inline void sites_add(struct sites *s, uint32_t row, unsigned value, uint64_t first,
			     uint64_t second)
{
	pair_add(&s->row[row].value[value], first, second);
}

/* One more than the highest row id in use; ids start at 1. */
uint32_t sites_end(const struct sites *s);
/* How many rows are taken, and not given back. */
uint32_t sites_count(const struct sites *s);

/* The key and the counters of a row.  Of a pair both are of one moment; a pair is read before those
 * in front of it.  False: not in use (yet). */
bool sites_read(const struct sites *s, uint32_t row, struct site_key *key,
		uint64_t value[SITES_VALUES]);

/* True if anything was counted there. */
bool sites_counted(const struct sites *s, uint32_t row);

#endif
