#include "sampler/mapped_queue.h"

#include <stdatomic.h>

#define TRIES      1000         /* so many others were first: a door waits for nobody */
#define PAGE_SHIFT 12
#define KIND_BITS  2
#define LOW_BITS   24
#define LOW_MASK   ((UINT64_C(1) << LOW_BITS) - 1)
#define ROUND_SHIFT 56
#define PAGE_MASK  ((UINT64_C(1) << ROUND_SHIFT) - 1)

enum kind { FREE, NEW, GONE };

static uint64_t round_of(uint64_t number)
{
	return number / MAPPED_QUEUE_EVENTS;
}

static uint64_t free_word(uint64_t round)
{
	return round << KIND_BITS;
}

static enum kind kind_of(uint64_t word)
{
	return (enum kind)(word & ((1u << KIND_BITS) - 1));
}

/* True for an event of this round. */
static bool is_event_of(uint64_t word, uint64_t round)
{
	return kind_of(word) != FREE && word >> ROUND_SHIFT == (round & 0xff);
}

/* True if this round's is done. */
static bool is_past(uint64_t word, uint64_t round)
{
	return word == free_word(round + 1) || is_event_of(word, round + 1);
}

/* False: it cannot be said in two words. */
static bool pack(uintptr_t start, uintptr_t end, uint64_t number, uint32_t row, uint64_t ticket,
		 uint64_t word[2])
{
	uint64_t pages = (end - start) >> PAGE_SHIFT;
	uint64_t low = row != 0 ? row : number - ticket;

	if (pages >> (64 - LOW_BITS) != 0 || low > LOW_MASK)
		return false;
	word[0] = round_of(number) << ROUND_SHIFT | (uint64_t)start >> PAGE_SHIFT << KIND_BITS |
		  (row != 0 ? NEW : GONE);
	word[1] = pages << LOW_BITS | low;
	return true;
}

bool mapped_queue_put(struct mapped_queue *q, uintptr_t start, uintptr_t end, uint32_t row,
		      uint64_t ticket)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		uint64_t at = atomic_load(&q->tail), round = round_of(at), now[2];
		uint64_t was[2] = { free_word(round), 0 };
		bool done;

		if (!pack(start, end, at, row, ticket, now))
			return false;
		done = pair_swap(q->place[at % MAPPED_QUEUE_EVENTS].word, was, now);
		if (!done && is_event_of(was[0], round - 1))
			return false;
		/* Whoever was first may not have come to say so. */
		atomic_compare_exchange_strong(&q->tail, &at, at + 1);
		if (done)
			return true;
	}
	return false;
}

/* Who put the last one may not have come to say so. */
uint64_t mapped_queue_ticket(struct mapped_queue *q)
{
	uint64_t at = atomic_load(&q->tail), round = round_of(at);
	uint64_t word = atomic_load(&q->place[at % MAPPED_QUEUE_EVENTS].word[0]);

	if (!is_event_of(word, round) && !is_past(word, round))
		return at;
	/* If it fails it is further already. */
	return atomic_compare_exchange_strong(&q->tail, &at, at + 1) ? at + 1 : at;
}

bool mapped_queue_is_past(const struct mapped_queue *q, uint64_t ticket)
{
	return atomic_load(&q->head) >= ticket;
}

bool mapped_queue_is_empty(struct mapped_queue *q)
{
	return mapped_queue_is_past(q, mapped_queue_ticket(q));
}

uint64_t mapped_queue_waiting(const struct mapped_queue *q)
{
	uint64_t head = atomic_load(&q->head), tail = atomic_load(&q->tail);

	return tail > head ? tail - head : 0;
}

bool mapped_queue_next(struct mapped_queue *q, struct mapped_event *e)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	_Atomic(uint64_t) *place = q->place[head % MAPPED_QUEUE_EVENTS].word;
	uint64_t word = atomic_load(&place[0]), more;

	/* Its end was not said to the last. */
	if (is_past(word, round_of(head))) {
		atomic_store(&q->head, ++head);
		place = q->place[head % MAPPED_QUEUE_EVENTS].word;
		word = atomic_load(&place[0]);
	}
	if (!is_event_of(word, round_of(head)))
		return false;
	more = atomic_load_explicit(&place[1], memory_order_relaxed);
	e->number = head;
	e->start = (word & PAGE_MASK) >> KIND_BITS << PAGE_SHIFT;
	e->end = e->start + (more >> LOW_BITS << PAGE_SHIFT);
	e->row = kind_of(word) == NEW ? (uint32_t)(more & LOW_MASK) : 0;
	e->ticket = kind_of(word) == NEW ? head : head - (more & LOW_MASK);
	return true;
}

void mapped_queue_done(struct mapped_queue *q, uint64_t number)
{
	_Atomic(uint64_t) *place = q->place[number % MAPPED_QUEUE_EVENTS].word;

	if (atomic_load_explicit(&q->head, memory_order_relaxed) != number)
		return;
	if (is_event_of(atomic_load(&place[0]), round_of(number))) {
		atomic_store_explicit(&place[1], 0, memory_order_relaxed);
		atomic_store_explicit(&place[0], free_word(round_of(number) + 1),
				      memory_order_release);
	}
	atomic_store(&q->head, number + 1);
}
