#include "sampler/mapped.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "sampler/count.h"
#include "sampler/mapped_ranges.h"
#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

/* In the queue, 160 KiB: what other threads do, at a million calls a second, while the one that
 * works it off has lost its processor for 4 ms. */
#define EVENTS 4096
/* What one thread works off before it goes back to its own work. */
#define EVENTS_AT_ONCE 64
#define PUT_TRIES      1000     /* so many others were first: a door waits for nobody */

struct event {
	_Atomic uint64_t turn;          /* round * 2: free; + 1: there */
	uintptr_t        start, end;
	uint64_t         ticket;
	uint32_t         row;           /* of a new range; 0: gone */
};

/* Zero is its beginning, so that a fork child need not do anything. */
struct state {
	_Atomic uint64_t ticket;
	_Atomic uint64_t tail;          /* events that got a place */
	_Atomic uint64_t head;          /* and those worked off: who has busy writes it */
	_Atomic uint32_t busy;          /* somebody works it off */
	_Atomic uint32_t live;          /* ranges, as of the last event */
	bool             ready;         /* ranges was initialised */
	struct mapped_ranges ranges;
	struct event     queue[EVENTS];
};

struct generations mapped_table;

static struct {
	struct state *_Atomic state;    /* NULL: off */
	struct state *mine;             /* what it is when on */
	void        *memory;            /* of the ranges */
	uint32_t     max;
} mapped;

/* --- the table: one at a time ---------------------------------------------------------------- */

static void count_gone(uint32_t row, unsigned objects, uint64_t bytes)
{
	sites_add(&mapped_table.sites, row, MAPPED_FREE_OBJECTS, objects, bytes);
}

static void apply(struct state *s, const struct event *e)
{
	if (!s->ready)
		mapped_ranges_init(&s->ranges, mapped.memory, mapped.max, count_gone);
	s->ready = true;
	mapped_ranges_remove(&s->ranges, e->start, e->end, e->row != 0 ? UINT64_MAX : e->ticket);
	if (e->row != 0 &&
	    !mapped_ranges_add(&s->ranges, e->start, e->end, e->row, e->ticket)) {
		count_add(COUNT_MMAP_NO_ROOM);
		count_gone(e->row, 1, e->end - e->start);
	}
	atomic_store_explicit(&s->live, s->ranges.live, memory_order_relaxed);
}

static bool is_next_there(struct state *s)
{
	uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);

	return atomic_load(&s->queue[head % EVENTS].turn) == head / EVENTS * 2 + 1;
}

static bool try_begin(struct state *s)
{
	return atomic_exchange(&s->busy, 1) == 0;
}

/* Works off at most so many; returns how many. */
static unsigned work_off(struct state *s, unsigned max)
{
	unsigned n = 0;

	for (; n < max && is_next_there(s); n++) {
		uint64_t head = atomic_load_explicit(&s->head, memory_order_relaxed);
		struct event *e = &s->queue[head % EVENTS];

		apply(s, e);
		atomic_store_explicit(&e->turn, head / EVENTS * 2 + 2, memory_order_release);
		atomic_store_explicit(&s->head, head + 1, memory_order_release);
	}
	return n;
}

/* Whoever was told that somebody is at it has left his event before: so it is seen here, after the
 * end. */
static void work(struct state *s)
{
	unsigned left = EVENTS_AT_ONCE;

	while (left > 0 && is_next_there(s) && try_begin(s)) {
		left -= work_off(s, left);
		atomic_store(&s->busy, 0);
	}
}

/* --- the queue ------------------------------------------------------------------------------- */

/* False: it is full. */
static bool put(struct state *s, uintptr_t start, uintptr_t end, uint64_t ticket, uint32_t row)
{
	uint64_t at = atomic_load_explicit(&s->tail, memory_order_relaxed);
	struct event *e;

	for (unsigned tries = 0;; tries++) {
		uint64_t turn;

		if (tries == PUT_TRIES)
			return false;

		e = &s->queue[at % EVENTS];
		turn = atomic_load_explicit(&e->turn, memory_order_acquire);
		if (turn == at / EVENTS * 2) {
			if (atomic_compare_exchange_weak(&s->tail, &at, at + 1))
				break;
		} else if (turn < at / EVENTS * 2) {
			return false;
		} else {
			at = atomic_load_explicit(&s->tail, memory_order_relaxed);
		}
	}
	e->start = start;
	e->end = end;
	e->ticket = ticket;
	e->row = row;
	atomic_store(&e->turn, at / EVENTS * 2 + 1);
	return true;
}

/* From the counters of a new range on to the end of its event: a handler that came in between could
 * jump away, or be the thread's end, and nobody would get any further. */
static uint64_t block_signals(void)
{
	static const uint64_t all = UINT64_MAX;
	uint64_t old = 0;

	sys_call4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, &old, sizeof(all));
	return old;
}

static void restore_signals(uint64_t old)
{
	sys_call4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &old, NULL, sizeof(old));
}

static NOINLINE void tell(struct state *s, uintptr_t start, uintptr_t end, uint64_t ticket,
			  uint32_t row)
{
	if (!put(s, start, end, ticket, row)) {
		count_add(COUNT_MMAP_LOST);
		if (row != 0)
			count_gone(row, 1, end - start);
	}
	work(s);
}

static struct state *get_state(void)
{
	struct state *s = atomic_load_explicit(&mapped.state, memory_order_acquire);

	return s != NULL && !threads_sealed() ? s : NULL;
}

static uint64_t draw(struct state *s)
{
	return atomic_fetch_add(&s->ticket, 1) + 1;
}

/* --- what is gone ---------------------------------------------------------------------------- */

uint64_t mapped_ticket(void)
{
	struct state *s = get_state();

	return s != NULL ? draw(s) : 0;
}

/* What this thread knows to be mapped, it has seen or been told of. */
static bool is_empty(struct state *s)
{
	return atomic_load(&s->head) == atomic_load(&s->tail) &&
	       atomic_load_explicit(&s->live, memory_order_relaxed) == 0;
}

void mapped_gone(uintptr_t start, size_t bytes, uint64_t ticket)
{
	struct state *s = get_state();
	uint64_t mask;

	if (s == NULL || ticket == 0 || is_empty(s))
		return;
	mask = block_signals();
	tell(s, start, start + bytes, ticket, 0);
	restore_signals(mask);
}

/* --- what is new ----------------------------------------------------------------------------- */

/* The row of the caller, with this counted on it. */
static uint32_t record(size_t bytes, struct capture *c)
{
	static const struct sample_losses losses = { COUNT_MMAP_NO_STACK, COUNT_MMAP_NO_SITE };
	struct site_key key = { .thread = self.name, .labels = self.labels };
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	uint32_t row;

	regs_here(&c->regs);
	row = sample_row(c, &bounds, &mapped_table, &key, &losses);
	if (row == 0)
		row = GENERATIONS_NO_ROOM;
	sites_add(&mapped_table.sites, row, MAPPED_ALLOC_OBJECTS, 1, bytes);
	return row;
}

/* Of a thread without a stack of its own here, a part of [evicted]. */
static uint32_t record_somewhere(size_t bytes)
{
	count_add(COUNT_MMAP_NESTED);
	sites_add(&mapped_table.sites, GENERATIONS_NO_ROOM, MAPPED_ALLOC_OBJECTS, 1, bytes);
	return GENERATIONS_NO_ROOM;
}

/* In a vfork child thread-local data is its parent's, as the memory is. */
static uint32_t find_row(size_t bytes)
{
	struct capture *c;
	uint32_t row;

	if (self.phase != SELF_READY || threads_elsewhere() || threads_is_in(CAPTURE_MAPPED) ||
	    (c = threads_capture(CAPTURE_MAPPED)) == NULL)
		return record_somewhere(bytes);
	threads_begin(CAPTURE_MAPPED);
	row = record(bytes, c);
	threads_end(CAPTURE_MAPPED);
	return row;
}

static NOINLINE void introduce(void)
{
	int host_errno = errno;

	if (self.phase == SELF_NEW)
		threads_enter(NULL);
	threads_settle();
	errno = host_errno;
}

COLD void mapped_new(uintptr_t start, size_t bytes)
{
	struct state *s;
	uint64_t mask;

	if (get_state() == NULL || bytes == 0)
		return;
	introduce();
	/* A child may have been told just now to record nothing.  Threads that libc made in one
	 * that has not settled are not there: what they write to would be cleared under them. */
	if (self.phase == SELF_NEW || self.phase == SELF_CHILD || (s = get_state()) == NULL)
		return;
	mask = block_signals();
	tell(s, start, start + bytes, draw(s), find_row(bytes));
	restore_signals(mask);
}

/* --- who looks ------------------------------------------------------------------------------- */

/* True if the table could be had: *bytes of [start, end) are in it. */
static bool look(struct state *s, uintptr_t start, uintptr_t end, uint64_t *bytes)
{
	uint64_t mask = block_signals();
	bool had = try_begin(s);

	if (had) {
		work_off(s, EVENTS);
		*bytes = s->ready ? mapped_ranges_in(&s->ranges, start, end) : 0;
		atomic_store(&s->busy, 0);
	}
	work(s);
	restore_signals(mask);
	return had;
}

bool mapped_knows(uintptr_t start, size_t bytes)
{
	struct state *s = get_state();
	uint64_t seen = 0;

	return s != NULL && !is_empty(s) && (!look(s, start, start + bytes, &seen) || seen != 0);
}

int64_t mapped_seen(uintptr_t start, uintptr_t end)
{
	struct state *s = get_state();
	uint64_t seen = 0;

	if (s == NULL)
		return -EAGAIN;
	if (!look(s, start, end, &seen))
		return -EBUSY;
	return (int64_t)seen;
}

/* --- beginning and end ----------------------------------------------------------------------- */

static bool lives(const struct site_row *r)
{
	uint64_t objects = atomic_load(&r->value[MAPPED_FREE_OBJECTS]);
	uint64_t bytes = atomic_load(&r->value[MAPPED_FREE_BYTES]);

	return atomic_load(&r->value[MAPPED_ALLOC_OBJECTS]) != objects ||
	       atomic_load(&r->value[MAPPED_ALLOC_BYTES]) != bytes;
}

int mapped_init(uint64_t budget_bytes)
{
	static const struct generations_kind kind = {
		.capture = CAPTURE_MAPPED,
		.rows_eighths = 2,
		.reclaim_eighths = 2,
		.samples_eighths = 4,
		.lives = lives,
		.evicted = COUNT_MMAP_EVICTED,
	};
	uint32_t max = (uint32_t)(budget_bytes / 2 / MAPPED_RANGE_BYTES);
	size_t bytes = (max + (size_t)1) * MAPPED_RANGE_BYTES;
	struct state *s = os_map_wiped(sizeof(*s));
	int err;

	mapped.memory = s != NULL ? os_map_wiped(bytes) : NULL;
	err = mapped.memory != NULL ? generations_init(&mapped_table, &kind, budget_bytes / 2)
				    : -ENOMEM;
	if (err < 0) {
		if (mapped.memory != NULL)
			os_unmap(mapped.memory, bytes);
		if (s != NULL)
			os_unmap(s, sizeof(*s));
		return err;
	}
	mapped.max = max;
	mapped.mine = s;
	atomic_store(&mapped.state, s);
	return 0;
}

void mapped_stop(void)
{
	atomic_store(&mapped.state, NULL);
	mapped.mine = NULL;
}

void mapped_before_settling(void)
{
	atomic_store(&mapped.state, NULL);
}

void mapped_after_fork(void)
{
	struct state *s = mapped.mine;

	generations_after_fork(&mapped_table);
	mapped_compare_after_fork();
	if (s == NULL)
		return;
	os_clear(s, sizeof(*s));
	os_clear(mapped.memory, (mapped.max + (size_t)1) * MAPPED_RANGE_BYTES);
	atomic_store(&mapped.state, s);
}
