#include "sampler/mapped.h"

#include <errno.h>
#include <stdatomic.h>

#include "sampler/count.h"
#include "sampler/hold.h"
#include "sampler/mapped_queue.h"
#include "sampler/mapped_ranges.h"
#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"
#include "sampler/threads.h"

/* What one thread works off before it goes back to its own work. */
#define EVENTS_AT_ONCE 64
/* Ranges that one mends, of which most take no longer than a tenth of an event. */
#define MENDED_AT_ONCE 1024
/* Events that one works off who must know. */
#define EVENTS_TO_KNOW 1024
/* With so many events waiting, somebody has been at the table for long: now and then one looks
 * whether he is still there. */
#define EVENTS_MANY  1024
#define EVENTS_LOOKS 64

/* A fork child has it, too, but for the memory that it points to: a handler may fork, and who was
 * at it goes on there, among zeros. */
struct state {
	struct hold_lock lock;          /* of the ranges, and of the queue's head */
	struct mapped_ranges ranges;
	struct mapped_queue *queue;
	_Atomic uint32_t    *live;      /* ranges, when somebody was last done with them, + 1 */
};

struct wiped { struct mapped_queue queue; _Atomic uint32_t live; };

struct generations mapped_table;

static struct {
	struct state *_Atomic state;    /* NULL: off */
	struct state *mine;             /* what it is when on */
	void        *memory;            /* of the ranges */
	uint32_t     max;
	bool         forked_within;     /* this child was, and has not said so */
	struct state the_one;
} mapped;

/* --- counters: of what is applied, whoever has the lock alone -------------------------------- */

static void read_counters(uint32_t row, uint64_t value[MAPPED_RANGES_VALUES])
{
	const struct site_row *r = &mapped_table.sites.row[row];

	for (unsigned i = 0; i < MAPPED_RANGES_VALUES; i++)
		value[i] = atomic_load_explicit(&r->value[i], memory_order_relaxed);
}

/* A pair changes as one: so it is reached, or not begun. */
static void raise_counters(uint32_t row, const uint64_t value[MAPPED_RANGES_VALUES])
{
	uint64_t now[MAPPED_RANGES_VALUES];

	read_counters(row, now);
	for (unsigned i = 0; i < MAPPED_RANGES_VALUES; i += 2)
		if (now[i] != value[i] || now[i + 1] != value[i + 1])
			sites_add(&mapped_table.sites, row, i, value[i] - now[i],
				  value[i + 1] - now[i + 1]);
}

static void end_event(uint64_t number)
{
	mapped_queue_done(mapped.the_one.queue, number);
}

static const struct mapped_ranges_world world = { read_counters, raise_counters, end_event };

/* --- the table: one at a time ---------------------------------------------------------------- */

static void apply(struct state *s, const struct mapped_event *e)
{
	mapped_ranges_remove(&s->ranges, e->start, e->end, e->ticket);
	if (e->row == 0)
		end_event(e->number);
	else if (!mapped_ranges_add(&s->ranges, e->start, e->end, e->row, e->number))
		count_add(COUNT_MMAP_NO_ROOM);
}

/* False: somebody else has the table. */
static bool try_begin(struct state *s, struct hold *hold, bool thorough)
{
	enum hold_result as = hold_try(&s->lock, hold, thorough);

	if (as == HOLD_INHERITED)
		mapped_ranges_break(&s->ranges);
	return as != HOLD_BUSY;
}

/* Who looks without the table sees what is live before he sees that nobody has it. */
static void finish(struct state *s, struct hold *hold)
{
	atomic_store_explicit(s->live, s->ranges.live + 1, memory_order_relaxed);
	hold_end(&s->lock, hold);
}

static bool is_work_left(struct state *s)
{
	return s->ranges.broken || !mapped_queue_is_empty(s->queue);
}

/* Of events at most so many; returns how many, or max. */
static unsigned work_off(struct state *s, unsigned max)
{
	struct mapped_event e;
	unsigned n = 0;

	if (s->ranges.broken) {
		mapped_ranges_mend(&s->ranges, MENDED_AT_ONCE);
		return max;
	}
	for (; n < max && mapped_queue_next(s->queue, &e); n++)
		apply(s, &e);
	return n;
}

/* Whoever was told that somebody is at it has left his event before: so it is seen here, after the
 * end. */
static NOINLINE void work(struct state *s, bool thorough)
{
	struct hold hold;
	unsigned left = EVENTS_AT_ONCE, n = 1;

	for (; left > 0 && n > 0 && is_work_left(s) && try_begin(s, &hold, thorough); left -= n) {
		n = work_off(s, left);
		finish(s, &hold);
	}
}

static NOINLINE void tell(struct state *s, uintptr_t start, uintptr_t end, uint32_t row,
			  uint64_t ticket)
{
	uint64_t so_many;

	if (mapped_queue_put(s->queue, start, end, row, ticket)) {
		so_many = mapped_queue_ticket(s->queue);
	} else {
		count_add(COUNT_MMAP_LOST);
		so_many = count_get(COUNT_MMAP_LOST);
		if (row != 0)
			sites_add(&mapped_table.sites, row, MAPPED_LOST_OBJECTS, 1, end - start);
	}
	work(s, so_many % EVENTS_LOOKS == 0 && mapped_queue_waiting(s->queue) > EVENTS_MANY);
}

static struct state *get_state(void)
{
	struct state *s = atomic_load_explicit(&mapped.state, memory_order_acquire);

	return s != NULL && !threads_sealed() ? s : NULL;
}

/* --- what is gone ---------------------------------------------------------------------------- */

uint64_t mapped_ticket(void)
{
	struct state *s = get_state();

	return s != NULL ? mapped_queue_ticket(s->queue) + 1 : 0;
}

/* What this thread knows to be mapped, it has seen or been told of.  In a child that has not
 * settled the lock is its parent's. */
static bool is_empty(struct state *s)
{
	bool is_child = atomic_load_explicit(s->live, memory_order_relaxed) == 0;

	return mapped_queue_is_empty(s->queue) &&
	       (is_child || (hold_is_free(&s->lock) && !s->ranges.broken &&
			     atomic_load_explicit(s->live, memory_order_relaxed) == 1));
}

void mapped_gone(uintptr_t start, size_t bytes, uint64_t ticket)
{
	struct state *s = get_state();

	if (s != NULL && ticket != 0 && bytes != 0 && !is_empty(s))
		tell(s, start, start + bytes, 0, ticket - 1);
}

/* --- what is new ----------------------------------------------------------------------------- */

/* The row of the caller, which stays its own until the event is done with. */
static uint32_t record(size_t bytes, struct capture *c)
{
	static const struct sample_losses losses = { COUNT_MMAP_NO_STACK, COUNT_MMAP_NO_SITE };
	struct site_key key = { .thread = thread_names_now(), .labels = self.labels };
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	uint32_t row;

	regs_here(&c->regs);
	row = sample_row(c, &bounds, &mapped_table, &key, &losses);
	if (row == 0)
		row = GENERATIONS_NO_ROOM;
	sites_add(&mapped_table.sites, row, MAPPED_NOTED_OBJECTS, 1, bytes);
	return row;
}

/* Of a thread without a stack of its own here, a part of [evicted]. */
static uint32_t record_somewhere(size_t bytes)
{
	count_add(COUNT_MMAP_NESTED);
	sites_add(&mapped_table.sites, GENERATIONS_NO_ROOM, MAPPED_NOTED_OBJECTS, 1, bytes);
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

	if (get_state() == NULL || bytes == 0)
		return;
	introduce();
	/* A child may have been told just now to record nothing.  Threads that libc made in one
	 * that has not settled are not there: what they write to would be cleared under them. */
	if (self.phase == SELF_NEW || self.phase == SELF_CHILD || (s = get_state()) == NULL)
		return;
	tell(s, start, start + bytes, find_row(bytes), 0);
}

/* --- who looks ------------------------------------------------------------------------------- */

/* True if the table could be had, with all that was said before in it: *bytes of [start, end) are
 * there. */
static NOINLINE bool look(struct state *s, uintptr_t start, uintptr_t end, bool thorough,
			  uint64_t *bytes)
{
	uint64_t said = mapped_queue_ticket(s->queue);
	struct hold hold;
	bool knows;

	if (!try_begin(s, &hold, thorough))
		return false;
	work_off(s, EVENTS_TO_KNOW);
	knows = !s->ranges.broken && mapped_queue_is_past(s->queue, said);
	if (knows)
		*bytes = mapped_ranges_in(&s->ranges, start, end);
	finish(s, &hold);
	work(s, false);
	return knows;
}

bool mapped_knows(uintptr_t start, size_t bytes)
{
	struct state *s = get_state();
	uint64_t seen = 0;

	return s != NULL && !is_empty(s) &&
	       (!look(s, start, start + bytes, false, &seen) || seen != 0);
}

int64_t mapped_seen(uintptr_t start, uintptr_t end)
{
	struct state *s = get_state();
	uint64_t seen = 0;

	if (s == NULL)
		return -EAGAIN;
	if (!look(s, start, end, true, &seen))
		return -EBUSY;
	return (int64_t)seen;
}

/* --- beginning and end ----------------------------------------------------------------------- */

/* An event is on its way, a part of it is there, or a change of it may be made once more: which is
 * asked last, as that ends after what it counts. */
static bool lives(const struct site_row *r)
{
	const struct mapped_change *c = &mapped.the_one.ranges.change;
	uint64_t value[SITES_VALUES];

	for (unsigned i = 0; i < SITES_VALUES; i++)
		value[i] = atomic_load(&r->value[i]);
	return value[MAPPED_NOTED_OBJECTS] !=
		       value[MAPPED_ALLOC_OBJECTS] + value[MAPPED_LOST_OBJECTS] ||
	       value[MAPPED_ALLOC_OBJECTS] != value[MAPPED_FREE_OBJECTS] ||
	       value[MAPPED_ALLOC_BYTES] != value[MAPPED_FREE_BYTES] ||
	       (atomic_load(&c->decided) && r == &mapped_table.sites.row[c->row]);
}

static void begin_anew(struct state *s)
{
	atomic_store(&s->lock.word[0], 0);
	atomic_store(s->live, 1);
	mapped_ranges_init(&s->ranges, mapped.memory, mapped.max, &world);
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
	struct wiped *wiped = pair_can_swap() ? os_map_wiped(sizeof(*wiped)) : NULL;
	struct state *s = &mapped.the_one;
	int err;

	mapped.memory = wiped != NULL ? os_map_wiped(bytes) : NULL;
	err = mapped.memory != NULL ? generations_init(&mapped_table, &kind, budget_bytes / 2)
				    : -ENOMEM;
	if (err < 0) {
		if (mapped.memory != NULL)
			os_unmap(mapped.memory, bytes);
		if (wiped != NULL)
			os_unmap(wiped, sizeof(*wiped));
		return err;
	}
	s->queue = &wiped->queue;
	s->live = &wiped->live;
	mapped.max = max;
	begin_anew(s);
	mapped.mine = s;
	atomic_store(&mapped.state, s);
	return 0;
}

void mapped_stop(void)
{
	atomic_store(&mapped.state, NULL);
	mapped.mine = NULL;
}

void mapped_in_child(void)
{
	mapped.forked_within = mapped.mine != NULL && hold_is_mine(&mapped.the_one.lock);
	if (mapped.forked_within)
		mapped_stop();
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
	if (mapped.forked_within)
		count_add(COUNT_MMAP_LOST);
	mapped.forked_within = false;
	if (s == NULL)
		return;
	os_clear(s->queue, sizeof(struct wiped));
	os_clear(mapped.memory, (mapped.max + (size_t)1) * MAPPED_RANGE_BYTES);
	begin_anew(s);
	atomic_store(&mapped.state, s);
}
