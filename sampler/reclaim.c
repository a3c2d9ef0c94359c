#include "sampler/reclaim.h"

#include <stddef.h>

#include "sampler/count.h"
#include "sampler/os.h"

/* How often to look: while a generation fills within seconds, and else; the desk comes by with its
 * chores more often. */
#define SOON_NS 50000000ull
#define LATE_NS 2000000000ull
/* For handlers to leave: at first, and at most. */
#define WAIT_MIN_NS 1000000ull
#define WAIT_MAX_NS 250000000ull
/* For readers to end. */
#define READING_NS 2000000ull
/* After work of 1 ms comes so much rest: a table full of live sites must not cost more than 2 % of
 * a processor. */
#define REST 50
/* A handler is done long before its thread has used so much CPU: it was left by a longjmp. */
#define LEFT_NS 1000000000ull

static uint32_t stack_of(const struct generations *g, uint32_t row)
{
	return atomic_load_explicit(&g->sites.row[row].stack, memory_order_acquire);
}

/* --- who is still there? --------------------------------------------------------------------- */

static bool note_visit(struct thread_slot *slot, void *arg)
{
	const struct generations *g = arg;
	struct thread_visit *v = &slot->visit[g->kind->capture];

	v->noted = atomic_load(&v->beat);
	if (v->noted % 2 != 0)
		v->noted_cpu_ns = os_thread_cpu_ns(slot->tid);
	return true;
}

static bool has_left(struct thread_slot *slot, struct thread_visit *v)
{
	uint32_t beat = atomic_load(&v->beat);

	if (beat % 2 == 0 || beat != v->noted)
		return true;
	if (slot->tid == 0)             /* it ends, and its slot is released in a moment */
		return false;
	return os_thread_cpu_ns(slot->tid) - v->noted_cpu_ns > LEFT_NS &&
	       atomic_compare_exchange_strong(&v->beat, &beat, beat + 1);
}

struct leaving { enum capture_kind kind; bool all; };

static bool look_at(struct thread_slot *slot, void *arg)
{
	struct leaving *l = arg;

	l->all = has_left(slot, &slot->visit[l->kind]);
	return l->all;
}

static bool all_have_left(const struct generations *g)
{
	struct leaving l = { g->kind->capture, true };

	threads_each(look_at, &l);
	return l.all;
}

/* --- the steps ------------------------------------------------------------------------------- */

static uint32_t eighths(uint32_t of, unsigned n)
{
	return (uint32_t)((uint64_t)of * n / 8);
}

/* What comes here later than it is full was counted as [evicted]: so better look often. */
static uint64_t watch(struct generations *g, uint64_t now, uint64_t now_ns)
{
	const struct stacks *s = &generations_at(g, now)->stacks;
	uint64_t filled = generations_number(now) << 32 | stacks_nodes(s);
	uint64_t taken = atomic_load_explicit(&g->sites.taken, memory_order_relaxed);
	bool fast = filled - g->reclaim.filled > s->nodes_max / 16 ||
		    taken - g->reclaim.taken > g->sites.rows_max / 16;

	g->reclaim.filled = filled;
	g->reclaim.taken = taken;
	return now_ns + (fast ? SOON_NS : LATE_NS);
}

static bool is_due(struct generations *g, uint64_t now, uint64_t now_ns)
{
	const struct generation *present = generations_at(g, now);
	const struct stacks *s = &present->stacks;
	unsigned full = g->kind->reclaim_eighths;

	return generations_other(now) != GENERATIONS_CLEAR && now_ns >= g->reclaim.not_before_ns &&
	       (stacks_nodes(s) >= eighths(s->nodes_max, full) ||
		present->rows >= eighths(g->sites.rows_max / 2, full) ||
		sites_count(&g->sites) >= eighths(g->sites.rows_max, 7));
}

/* True for a row whose stack is in the other generation. */
static bool is_behind(uint64_t now, uint32_t stack)
{
	return stack != 0 && stack != GENERATIONS_STACK_EVICTED &&
	       stack >> GENERATIONS_BIT != (generations_number(now) & 1);
}

static bool lives(const struct generations *g, uint32_t row)
{
	return g->kind->lives != NULL && g->kind->lives(&g->sites.row[row]);
}

/* A quarter of the present generation is left to new stacks: else we would move the same ones to
 * and fro.  False: there is no room. */
static bool move(struct generations *g, uint64_t now, uint32_t row)
{
	static frame_t frame[STACK_DEPTH_MAX + 1];      /* our thread's only */
	struct stacks *s = &generations_at(g, now)->stacks;
	const struct site_row *r = &g->sites.row[row];
	struct site_key key = { .size = r->size, .thread = r->thread, .labels = r->labels };
	unsigned depth = generations_frames(g, stack_of(g, row), frame, COUNT_OF(frame));
	uint32_t id = 0;

	if (stacks_nodes(s) + depth > eighths(s->nodes_max, 6))
		return false;
	for (unsigned i = depth; i-- > 0;) {
		id = stacks_child(s, id, frame[i]);
		if (id == 0)
			return false;
	}
	key.stack = generations_stack(now, id);
	generations_move(g, now, row, &key);
	return true;
}

static void move_if_it_lives(struct generations *g, uint64_t now, uint32_t row)
{
	if (is_behind(now, stack_of(g, row)) && lives(g, row))
		(void)move(g, now, row);
}

/* Unless it is clear, nobody but us writes there. */
static void set_other(struct generations *g, enum generations_other other)
{
	atomic_store(&g->now, generations_number(generations_now(g)) << 2 | other);
}

static void close_other(struct generations *g)
{
	set_other(g, GENERATIONS_CLOSED);
	threads_each(note_visit, g);
	g->reclaim.wait_ns = WAIT_MIN_NS;
	g->reclaim.step = RECLAIM_WAIT;
}

static void set_room(struct stacks *s, unsigned n)
{
	atomic_store_explicit(&s->room, eighths(s->nodes_max, n), memory_order_relaxed);
}

static void begin_move(struct generations *g, uint64_t now)
{
	set_room(&generations_at(g, now)->stacks, 8);
	g->reclaim.step = RECLAIM_MOVE;
	g->reclaim.row = GENERATIONS_ROWS;
	g->reclaim.worked_ns = 0;
}

/* --- folding --------------------------------------------------------------------------------- */

static void fold(struct generations *g, uint32_t row)
{
	struct site_row *from = &g->sites.row[row], *to = &g->sites.row[GENERATIONS_EVICTED];

	for (unsigned i = SITES_VALUES; i-- > 0;)
		atomic_fetch_add_explicit(&to->value[i], from->value[i], memory_order_release);
	sites_give(&g->sites, row);
}

/* Its blocks still count on it: only its stack is given up. */
static void rename_evicted(struct generations *g, uint32_t row)
{
	struct site_key key = { .stack = GENERATIONS_STACK_EVICTED };

	sites_set_key(&g->sites, row, &key);
}

static void fold_if_left(struct generations *g, uint64_t now, uint32_t row,
			 void (*moved)(uint32_t row, void *arg), void *arg)
{
	uint32_t stack = stack_of(g, row);
	bool behind = is_behind(now, stack), live;

	if (!behind && stack != GENERATIONS_STACK_EVICTED)
		return;
	live = lives(g, row);
	if (live && (!behind || move(g, now, row)))
		return;
	/* One left over by a race (levels_intern) has counted nothing. */
	if (behind && g->kind->evicted != COUNT_REASONS && sites_counted(&g->sites, row))
		count_add(g->kind->evicted);
	if (live) {
		rename_evicted(g, row);
		return;
	}
	fold(g, row);
	moved(row, arg);
}

static void clear_other(struct generations *g, uint64_t now)
{
	struct generation *other = &g->generation[(generations_number(now) & 1) ^ 1];

	levels_clear(&other->index);
	stacks_clear(&other->stacks);
	other->rows = 0;
	set_room(&other->stacks, g->kind->samples_eighths);
	g->reclaim.step = RECLAIM_WATCH;
	set_other(g, GENERATIONS_CLEAR);
}

/* --- all of it ------------------------------------------------------------------------------- */

/* The rows from where it stood to the end.  False: the time is over. */
static bool each_row(struct generations *g, uint64_t now, uint64_t end_ns,
		     void (*moved)(uint32_t row, void *arg), void *arg)
{
	for (; g->reclaim.row < sites_end(&g->sites); g->reclaim.row++) {
		if (g->reclaim.row % 16 == 0 && os_monotonic_ns() >= end_ns)
			return false;
		if (g->reclaim.step == RECLAIM_MOVE)
			move_if_it_lives(g, now, g->reclaim.row);
		else
			fold_if_left(g, now, g->reclaim.row, moved, arg);
	}
	g->reclaim.row = GENERATIONS_ROWS;
	return true;
}

static void end_step(struct generations *g, uint64_t now)
{
	if (g->reclaim.step == RECLAIM_MOVE)
		close_other(g);
	else
		clear_other(g, now);
}

/* Does what there is to do at once.  Returns when to go on. */
static uint64_t work(struct generations *g, uint64_t now, uint64_t now_ns,
		     void (*moved)(uint32_t row, void *arg), void *arg)
{
	uint64_t cpu_ns = os_thread_cpu_ns(0), after_ns;
	bool done = each_row(g, now, now_ns + RECLAIM_STEP_NS, moved, arg);

	if (done)
		end_step(g, now);
	after_ns = os_monotonic_ns();
	g->reclaim.worked_ns += os_thread_cpu_ns(0) - cpu_ns;
	g->reclaim.not_before_ns = after_ns + REST * g->reclaim.worked_ns;
	return g->reclaim.step == RECLAIM_WAIT ? after_ns + g->reclaim.wait_ns : after_ns;
}

static uint64_t wait_on(struct generations *g, uint64_t now_ns)
{
	if (all_have_left(g)) {
		g->reclaim.step = RECLAIM_FOLD;
		return now_ns;
	}
	if (g->reclaim.wait_ns < WAIT_MAX_NS)
		g->reclaim.wait_ns *= 2;
	return now_ns + g->reclaim.wait_ns;
}

uint64_t reclaim_go_on(struct generations *g, bool reading,
		       void (*moved)(uint32_t row, void *arg), void *arg)
{
	uint64_t now = generations_now(g), now_ns = os_monotonic_ns();

	switch (g->reclaim.step) {
	case RECLAIM_WATCH:
		if (!is_due(g, now, now_ns))
			return watch(g, now, now_ns);
		begin_move(g, now);
		break;
	case RECLAIM_MOVE:
		break;
	case RECLAIM_WAIT:
		return wait_on(g, now_ns);
	case RECLAIM_FOLD:
		if (reading)
			return now_ns + READING_NS;
		break;
	}
	return work(g, now, now_ns, moved, arg);
}

bool reclaim_waits_for_readers(const struct generations *g)
{
	return g->reclaim.step == RECLAIM_FOLD;
}
