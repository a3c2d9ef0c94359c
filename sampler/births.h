/* sampler/births.h -- who made the threads that live: the profile threadcreate.
 *
 * The stack is taken in the door of pthread_create or thrd_create, by the thread that creates, each
 * time: a creation takes 15 us and more, the stack half a microsecond.  A thread counts as created
 * before it begins, and as ended at its end, on the same row, so what lives is the difference.  One
 * that came without a door, or before us, is counted when the scan meets it, on a frame that says
 * so.
 *
 * Context   births_begin, births_failed, births_ended: any thread.  births_met: our thread.
 * Memory    the budget; a fork child finds zeros.  A row on which somebody lives is not evicted.
 * When full [evicted]: the totals stay. */
#ifndef SAMPLER_BIRTHS_H
#define SAMPLER_BIRTHS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/generations.h"
#include "sampler/threads.h"

/* Counters of a site, as one pair.  A creation that failed counts as one that ended. */
enum births_value { BIRTHS_CREATED, BIRTHS_ENDED };

/* The only frame of a thread that no door saw: the first one of the process, or another. */
#define FRAME_BIRTH_MAIN   ((frame_t)8)
#define FRAME_BIRTH_UNSEEN ((frame_t)9)

extern struct generations births_table;

/* 0 or -ENOMEM; then nothing is recorded. */
MUST_CHECK int births_init(uint64_t budget_bytes);
void births_after_fork(void);

/* The calling thread is about to make the one that will have this slot.  errno is kept. */
void births_begin(struct thread_slot *slot);
/* It ends, has ended, or could not be made. */
void births_ended(struct thread_slot *slot);
/* It is there, and has its tid; it is counted if it was not. */
void births_met(struct thread_slot *slot);

/* True if the scan has met a thread that is not counted yet. */
bool births_are_due(void);

/* How many are counted and live. */
uint32_t births_live(void);

struct thread_birth {
	int32_t   creator;              /* its tid; it may have gone, and the tid be another's */
	uint32_t  stack;                /* its, for generations_frames(&births_table, ...) */
	uintptr_t start;                /* the function that the host wanted run */
	uint64_t  born_ns;              /* os_monotonic_ns */
};

/* False: there is no such thread, or no door saw it come.  Context: our thread. */
bool births_of(int tid, struct thread_birth *out);

#endif
