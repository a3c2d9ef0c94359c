/* sampler/self.h -- what a thread knows of itself: the only thread-local data of this library.
 *
 * All zero is a valid state: the next event takes the slow path, which introduces the thread. So a
 * thread that we never saw needs no test on any fast path.  No destructor: a thread's end is
 * an event of its door (threads.h), later events see SELF_GONE. */
#ifndef SAMPLER_SELF_H
#define SAMPLER_SELF_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

enum self_phase {
	SELF_NEW,               /* zero */
	SELF_READY,             /* has tid, random state and, if there was one left, a slot */
	SELF_GONE,              /* its end was seen; not sampled any more */
	SELF_DESK,              /* our own thread */
	SELF_CHILD,             /* of a fork child whose inheritance waits (threads_settle) */
};

/* Whether another may run on this, which is then not its own: bits that the doors set (hook_clone).
 * Who was made past them has none. */
enum self_shared {
	SELF_ALONE,
	SELF_VFORKED = 1,       /* a child, until it is over; meanwhile the thread stands still */
	SELF_CLONED = 2,        /* whoever clone has made, for ever */
};

struct thread_slot;

/* How many of one kind of event are taken (locks.c): each with probability 1 / 2^shift. */
struct self_pace {
	uint32_t last;                  /* when the last one was, about */
	uint32_t since;                 /* the first of those taken */
	uint16_t taken;                 /* how many */
	uint8_t  shift;
};

/* The thread's place in a lock's slot, while it waits there. */
struct self_wait {
	const void *wait;               /* the struct locks_wait of its door; NULL: none */
	uint64_t begin_ns;
	uint32_t slot;
	uint16_t weight;
	uint16_t cell;                  /* of locks_filter */
};

struct self {
	uint64_t heap_left;             /* bytes that pass before the heap's slow path */
	uint64_t heap_rate;             /* the rate that heap_left was drawn for; 0: not drawn */
	uint64_t random;                /* random.h */
	struct thread_slot *slot;       /* NULL: not sampled */
	int32_t  tid;
	int32_t  child_timer;           /* SELF_CHILD: its CPU timer's id + 1 */
	const void *libunwind;          /* its walk that goes on (unwind_libunwind.h), NULL none */
	uint16_t name;                  /* thread name id, when ... (thread_names_now) */
	uint16_t labels;                /* label set id */
	uint8_t  phase;                 /* enum self_phase */
	bool     heap_gap_capped;       /* heap_left is a check-in, not a sample */
	bool     resolving;             /* inside dlsym on our behalf (preload/real.c) */
	uint8_t  shared;                /* of enum self_shared */
	struct self_wait lock;
	uint64_t lock_draw;             /* of the release under way (locks_release_counts) */
	struct self_pace lock_waits, lock_pauses, lock_charges;
	uint32_t name_seen;             /* ... thread_names_changes was this; 0: never */
};

static_assert(sizeof(struct self) <= 128, "static TLS that late dlopens share; rule: < 256 bytes");

extern HIDDEN _Thread_local struct self self __attribute__((tls_model("initial-exec")));

#endif
