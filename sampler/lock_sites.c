#include "sampler/lock_sites.h"

#include <errno.h>

#include "sampler/count.h"
#include "sampler/lock_ids.h"
#include "sampler/lock_pairs.h"
#include "sampler/lock_slots.h"
#include "sampler/locks.h"
#include "sampler/sample.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"
#include "sampler/threads.h"

struct generations locks_block_table, locks_mutex_table;

/* --- rows ------------------------------------------------------------------------------------ */

static inline __attribute__((always_inline)) uint32_t
take_stack(struct generations *table, struct capture *c, const void *lock)
{
	static const struct sample_losses losses = { COUNT_LOCK_NO_STACK, COUNT_LOCK_NO_SITE };
	struct lock_key key = { .key.thread = thread_names_now(), .key.labels = self.labels,
				.lock = lock };
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	uint32_t row;

	regs_here(&c->regs);
	row = sample_row(c, &bounds, table, &key.key, &losses);
	return row != 0 ? row : GENERATIONS_NO_ROOM;
}

/* Of the only frame FRAME_LOCK_HOLDER_UNKNOWN. */
static uint32_t unknown_row(const void *lock)
{
	struct lock_key key = { .lock = lock };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t now = generations_now(&locks_mutex_table);
		uint32_t id = stacks_child(&generations_at(&locks_mutex_table, now)->stacks, 0,
					   FRAME_LOCK_HOLDER_UNKNOWN);
		uint32_t row = 0;

		key.key.stack = generations_stack(now, id);
		if (id != 0)
			row = lock_ids_row(&locks_mutex_table, now, &key.key);
		if (row != 0)
			return row;
		if (!generations_next(&locks_mutex_table, now))
			break;
	}
	count_add(COUNT_LOCK_NO_SITE);
	return GENERATIONS_NO_ROOM;
}

/* --- counting -------------------------------------------------------------------------------- */

static NOINLINE void add(struct generations *table, uint32_t row, const struct pace_amount *a)
{
	sites_add(&table->sites, row, LOCKS_CONTENTIONS, a->contentions, a->delay_ns);
}

static NOINLINE void add_nowhere(struct generations *table, const struct pace_amount *a)
{
	count_add(COUNT_LOCK_NESTED);
	add(table, GENERATIONS_NO_ROOM, a);
}

static bool may_begin(void)
{
	return self.phase == SELF_READY && !threads_marked_elsewhere();
}

static NOINLINE void add_pair(const struct locks_wait *w, uint32_t row)
{
	struct lock_site holder = w->holder;

	if (w->charged)
		holder = lock_holders_pick(lock_slots_holders(w->slot), w->begin_ns, w->end_ns,
					   &self.random);
	lock_pairs_add(lock_pairs_site(&locks_block_table, row), holder, w->amount.contentions,
		       w->amount.delay_ns);
}

void lock_sites_block(const struct locks_wait *w)
{
	int host_errno = errno;
	struct capture *c;

	if (!may_begin() || threads_is_in(CAPTURE_BLOCK) ||
	    (c = threads_capture(CAPTURE_BLOCK)) == NULL) {
		add_nowhere(&locks_block_table, &w->amount);
	} else {
		uint32_t row;

		threads_begin(CAPTURE_BLOCK);
		row = take_stack(&locks_block_table, c, w->lock);
		add(&locks_block_table, row, &w->amount);
		if (w->slot != 0)
			add_pair(w, row);
		threads_end(CAPTURE_BLOCK);
	}
	errno = host_errno;
}

static NOINLINE void note_holder(const struct locks_charge *c, uint32_t row)
{
	lock_holders_note(lock_slots_holders(c->slot), lock_pairs_site(&locks_mutex_table, row),
			  c->at_ns, c->amount.delay_ns);
}

void lock_sites_mutex(const struct locks_charge *c)
{
	int host_errno = errno;
	struct capture *scratch;

	if (!may_begin() || threads_is_in(CAPTURE_MUTEX) ||
	    (scratch = threads_capture(CAPTURE_MUTEX)) == NULL) {
		add_nowhere(&locks_mutex_table, &c->amount);
	} else {
		uint32_t row;

		threads_begin(CAPTURE_MUTEX);
		row = take_stack(&locks_mutex_table, scratch, c->lock);
		add(&locks_mutex_table, row, &c->amount);
		note_holder(c, row);
		threads_end(CAPTURE_MUTEX);
	}
	errno = host_errno;
}

void lock_sites_unknown(struct locks_wait *w)
{
	uint32_t row;

	if (!may_begin() || threads_is_in(CAPTURE_MUTEX) || self.slot == NULL) {
		add_nowhere(&locks_mutex_table, &w->amount);
		return;
	}
	threads_begin(CAPTURE_MUTEX);
	row = unknown_row(w->lock);
	add(&locks_mutex_table, row, &w->amount);
	w->holder = lock_pairs_site(&locks_mutex_table, row);
	threads_end(CAPTURE_MUTEX);
}

/* --- beginning and end ----------------------------------------------------------------------- */

/* As the CPU's: nothing lives. */
#define KIND(which) {                          \
	.capture = which,                      \
	.rows_eighths = 2,                     \
	.reclaim_eighths = 6,                  \
	.samples_eighths = 8,                  \
	.row = lock_ids_row,                   \
	.evicted = COUNT_LOCK_EVICTED,         \
}

int lock_sites_init_block(uint64_t budget_bytes)
{
	static const struct generations_kind kind = KIND(CAPTURE_BLOCK);

	return generations_init(&locks_block_table, &kind, budget_bytes);
}

int lock_sites_init_mutex(uint64_t budget_bytes)
{
	static const struct generations_kind kind = KIND(CAPTURE_MUTEX);

	return generations_init(&locks_mutex_table, &kind, budget_bytes);
}

void lock_sites_after_fork(void)
{
	generations_after_fork(&locks_block_table);
	generations_after_fork(&locks_mutex_table);
}
