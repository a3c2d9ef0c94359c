#include "sampler/births.h"

#include <errno.h>

#include "sampler/count.h"
#include "sampler/os.h"
#include "sampler/sample.h"
#include "sampler/self.h"

struct generations births_table;

static _Atomic uint32_t live;

static bool lives(const struct site_row *r)
{
	return atomic_load_explicit(&r->value[BIRTHS_CREATED], memory_order_acquire) !=
	       atomic_load_explicit(&r->value[BIRTHS_ENDED], memory_order_acquire);
}

int births_init(uint64_t budget_bytes)
{
	/* Whose threads have all ended is no loss. */
	static const struct generations_kind kind = {
		.capture = CAPTURE_CREATE,
		.rows_eighths = 2,
		.reclaim_eighths = 2,
		.samples_eighths = 4,
		.lives = lives,
		.evicted = COUNT_REASONS,
	};

	return generations_init(&births_table, &kind, budget_bytes);
}

void births_after_fork(void)
{
	generations_after_fork(&births_table);
	live = 0;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* Names of threads are no part of a site: that of a new one is its maker's. */
static inline __attribute__((always_inline)) uint32_t take_stack(struct capture *c)
{
	static const struct sample_losses losses = { COUNT_CREATE_NO_STACK, COUNT_CREATE_NO_SITE };
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	struct site_key key = { .stack = 0 };
	uint32_t row;

	regs_here(&c->regs);
	row = sample_row(c, &bounds, &births_table, &key, &losses);
	return row != 0 ? row : GENERATIONS_NO_ROOM;
}

static uint32_t find_row(void)
{
	struct capture *c;
	uint32_t row;

	if (self.phase != SELF_READY || threads_is_in(CAPTURE_CREATE) ||
	    (c = threads_capture(CAPTURE_CREATE)) == NULL) {
		count_add(COUNT_CREATE_NESTED);
		return GENERATIONS_NO_ROOM;
	}
	threads_begin(CAPTURE_CREATE);
	row = take_stack(c);
	threads_end(CAPTURE_CREATE);
	return row;
}

/* Of the only frame that this is. */
static uint32_t row_of(frame_t frame)
{
	struct site_key key = { .stack = 0 };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t now = generations_now(&births_table);
		uint32_t id = stacks_child(&generations_at(&births_table, now)->stacks, 0, frame);
		uint32_t row = 0;

		key.stack = generations_stack(now, id);
		if (id != 0)
			row = generations_row(&births_table, now, &key);
		if (row != 0)
			return row;
		if (!generations_next(&births_table, now))
			break;
	}
	count_add(COUNT_CREATE_NO_SITE);
	return GENERATIONS_NO_ROOM;
}

/* --- counting -------------------------------------------------------------------------------- */

static void count_birth(struct thread_slot *slot, uint32_t row)
{
	sites_add(&births_table.sites, row, BIRTHS_CREATED, 1, 0);
	atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	slot->birth = row;
}

void births_begin(struct thread_slot *slot)
{
	int host_errno = errno;

	slot->creator = self.tid;
	if (births_table.kind != NULL)
		count_birth(slot, find_row());
	errno = host_errno;
}

void births_ended(struct thread_slot *slot)
{
	uint32_t row = atomic_exchange(&slot->birth, 0);

	if (row == 0)
		return;
	sites_add(&births_table.sites, row, BIRTHS_CREATED, 0, 1);
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
}

void births_met(struct thread_slot *slot)
{
	if (births_table.kind != NULL && slot->birth == 0)
		count_birth(slot, row_of(slot->tid == os_getpid() ? FRAME_BIRTH_MAIN
								  : FRAME_BIRTH_UNSEEN));
}

static bool is_counted(struct thread_slot *slot, void *all)
{
	*(bool *)all = slot->tid == 0 || slot->birth != 0;
	return *(bool *)all;
}

bool births_are_due(void)
{
	bool all = true;

	if (births_table.kind != NULL)
		threads_each(is_counted, &all);
	return !all;
}

uint32_t births_live(void)
{
	return live;
}

bool births_of(int tid, struct thread_birth *out)
{
	const struct thread_slot *slot = threads_find(tid);
	uint64_t value[SITES_VALUES];
	struct site_key key;
	uint32_t row;

	if (slot == NULL || slot->creator == 0 || (row = slot->birth) == 0 ||
	    !sites_read(&births_table.sites, row, &key, value))
		return false;
	*out = (struct thread_birth){ slot->creator, key.stack, (uintptr_t)slot->start,
				      slot->born_ns };
	return true;
}
