/* sampler/generations.h -- a profile's sites and their stacks, in memory that comes back.
 *
 * Nearly every CPU stack of a compiler is new: a table that only grows is full after half an hour.
 * So there are two generations of stacks, and of the index of sites.  Samples go into the present
 * one.  When it is full, the sample that finds no room goes into the other, if that is clear, and
 * the roles change.  A site that is met again, or that has live blocks, moves over (its row stays
 * the same, its stack is stored once more).  Later our thread (reclaim.h) adds up the rows that
 * were left behind on one, the site [evicted], and clears the generation.  So counters are
 * never lost, and totals never fall; what is given up is who they belong to.
 *
 *     present  [1######|      ]   [2             ]     2 is clear
 *              [1##############]  [2             ]     1 is full
 *              [1##############]  [2#            ]     2 is present; what is met again moves over
 *              [1              ]  [2#####        ]     the rest was evicted, 1 is clear
 *
 * Context   generations_init: once, before the rest.  The others: any thread, inside handlers;
 *           lock-free.  A handler is between threads_begin and threads_end (threads.h) as long as
 *           it uses what generations_now said.
 * Memory    the budget, for both together; touched as it fills.
 * When full generations_row returns 0 and generations_next false: such samples are [evicted]. */
#ifndef SAMPLER_GENERATIONS_H
#define SAMPLER_GENERATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/count.h"
#include "sampler/levels.h"
#include "sampler/sites.h"
#include "sampler/stacks.h"
#include "sampler/threads.h"

/* The only frame of the stack of [evicted]: neither a pc nor code. */
#define FRAME_EVICTED ((frame_t)2)

/* Rows of [evicted]: samples without room count on the one, our thread adds rows on the other. */
#define GENERATIONS_NO_ROOM 1
#define GENERATIONS_EVICTED 2
#define GENERATIONS_ROWS    3   /* the first of all others */

/* Ids of stacks in keys: the generation's parity in the highest bit, or this one. */
#define GENERATIONS_BIT           31
#define GENERATIONS_STACK_EVICTED UINT32_MAX

/* What the other generation is. */
enum generations_other {
	GENERATIONS_CLEAR,      /* empty: the next one */
	GENERATIONS_OPEN,       /* the one before: what is met again moves over */
	GENERATIONS_CLOSED,     /* it will be cleared: nobody may look at it but our thread */
};

struct generations;

struct generation {
	struct stacks stacks;
	struct levels index;            /* word: low half of the hash << 32 | row */
	_Atomic uint32_t rows;          /* in the index, about */
};

/* What makes the profiles different. */
struct generations_kind {
	enum capture_kind capture;      /* what its handlers are doing */
	unsigned rows_eighths;          /* of the budget, for rows */
	/* Our thread begins when so much of the present generation is in use: late, where nothing
	 * has to be moved, early, where room must be left for what lives.  Until it has moved that,
	 * samples have no more than this. */
	unsigned reclaim_eighths, samples_eighths;
	/* The row that a sample with this key counts on; NULL: generations_row. */
	uint32_t (*row)(struct generations *g, uint64_t now, const struct site_key *key);
	/* True for a row that must not be given back: NULL: there is none. */
	bool (*lives)(const struct site_row *row);
	enum count evicted;             /* sites that were; COUNT_REASONS: that is no loss */
};

/* Where our thread is (reclaim.c). */
enum reclaim_step { RECLAIM_WATCH, RECLAIM_MOVE, RECLAIM_WAIT, RECLAIM_FOLD };

struct generations {
	struct generation  generation[2];       /* by the parity of their number */
	struct sites       sites;
	_Atomic(uint64_t)  now;         /* the present one's number << 2 | generations_other */
	const struct generations_kind *kind;
	struct {
		enum reclaim_step step;
		uint32_t row;           /* the next one to look at */
		uint64_t worked_ns, not_before_ns, wait_ns;
		uint64_t filled, taken; /* number << 32 | nodes, and rows, when it looked last */
	} reclaim;                      /* our thread's */
};

/* 0 or -ENOMEM; then nothing is mapped.  *kind stays. */
MUST_CHECK int generations_init(struct generations *g, const struct generations_kind *kind,
				uint64_t budget_bytes);
void generations_free(struct generations *g);

/* A fork child begins with nothing.  Its memory is zero already (os_map_wiped); nobody adds to it
 * before this but the only thread of a raw fork, whose counts nobody will read. */
void generations_after_fork(struct generations *g);

static inline uint64_t generations_now(const struct generations *g)
{
	return atomic_load_explicit(&g->now, memory_order_seq_cst);
}

static inline uint64_t generations_number(uint64_t now)
{
	return now >> 2;
}

static inline enum generations_other generations_other(uint64_t now)
{
	return (enum generations_other)(now & 3);
}

/* The present one. */
static inline struct generation *generations_at(struct generations *g, uint64_t now)
{
	return &g->generation[generations_number(now) & 1];
}

/* The id for keys of a stack in the present generation. */
static inline uint32_t generations_stack(uint64_t now, uint32_t id)
{
	return (uint32_t)(generations_number(now) & 1) << GENERATIONS_BIT | id;
}

/* The row of the site with this key, whose stack is in the present generation; 0 when full. */
uint32_t generations_row(struct generations *g, uint64_t now, const struct site_key *key);

/* The same, if there is one; 0: there is none yet. */
uint32_t generations_find(struct generations *g, uint64_t now, const struct site_key *key);
/* It will be looked for: where in the index that begins is fetched into the cache meanwhile. */
void generations_look_ahead(const struct generations *g, uint64_t now, const struct site_key *key);
/* By the content of the stack: a site has the same in both generations. */
uint64_t generations_hash(const struct generations *g, const struct site_key *key);

/* The present one is full: true if there is another now. */
bool generations_next(struct generations *g, uint64_t now);

/* The frames of a key's stack, leaf first; at most max.  Returns how many. */
unsigned generations_frames(const struct generations *g, uint32_t stack, frame_t *frame,
			    unsigned max);

/* Sites that are counted on, [evicted] left out. */
uint32_t generations_sites(const struct generations *g);

/* Bytes of stacks and rows: mapped, and in use or used once. */
void generations_memory(const struct generations *g, uint64_t *budget, uint64_t *used);

/* --- for reclaim.c --------------------------------------------------------------------------- */

/* The site that has this row goes over to the present generation: into its index, with the stack
 * that key has.  Another row may be there for it already: then it stays without. */
void generations_move(struct generations *g, uint64_t now, uint32_t row,
		      const struct site_key *key);

#endif
