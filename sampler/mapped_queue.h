/* sampler/mapped_queue.h -- what doors have to say of mapped memory, in the order in which they do.
 *
 * An event is put there by one instruction: who is interrupted, or ended, before that has said
 * nothing, and after it, all.  An event's number is its place among all there were; a ticket says
 * how many there were before it was drawn.
 *
 * Context   mapped_queue_put, mapped_queue_ticket: any thread, inside handlers; lock-free, bounded.
 *           mapped_queue_next, mapped_queue_done: one at a time (mapped.c).
 * Memory    the caller's; zeroed it is empty.
 * When full mapped_queue_put says so. */
#ifndef SAMPLER_MAPPED_QUEUE_H
#define SAMPLER_MAPPED_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/pair.h"

/* 256 KiB: what other threads do, at half a million calls a second, while the one that works it off
 * has lost its processor for 30 ms. */
#define MAPPED_QUEUE_EVENTS 16384
#define MAPPED_QUEUE_ROWS   (1u << 24)  /* rows have lower numbers */

struct mapped_event {
	uint64_t  number;
	uintptr_t start, end;
	uint32_t  row;          /* of a new range; 0: gone */
	uint64_t  ticket;       /* gone is what has a number below */
};

struct mapped_queue {
	_Atomic(uint64_t) tail, head;   /* the numbers of the next event to come, and to be done */
	struct {
		/* Free: round << 2, 0.  Else round << 56 | page << 2 | kind, pages << 24 | what the
		 * kind wants.  Of the round of an event 8 bits are enough. */
		_Alignas(PAIR_ALIGN) _Atomic(uint64_t) word[2];
	} place[MAPPED_QUEUE_EVENTS];
};

/* False: it is full, or the event is such as no place can hold.  row as in the event; ticket: of
 * what is gone. */
MUST_CHECK bool mapped_queue_put(struct mapped_queue *q, uintptr_t start, uintptr_t end,
				 uint32_t row, uint64_t ticket);
uint64_t mapped_queue_ticket(struct mapped_queue *q);
bool mapped_queue_is_empty(struct mapped_queue *q);
/* How many are not done, about. */
uint64_t mapped_queue_waiting(const struct mapped_queue *q);
/* True if all that came before this ticket are done. */
bool mapped_queue_is_past(const struct mapped_queue *q, uint64_t ticket);

/* The oldest one that is not done.  False: there is none. */
bool mapped_queue_next(struct mapped_queue *q, struct mapped_event *e);
/* The one with this number is done.  It may be said again, until another one is. */
void mapped_queue_done(struct mapped_queue *q, uint64_t number);

#endif
