#include "sampler/heap.h"

#include <errno.h>

#include "sampler/count.h"
#include "sampler/heap_live.h"
#include "sampler/heap_sizes.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/sample.h"
#include "sampler/thread_names.h"

struct generations heap_table;

static struct {
	_Atomic uint64_t rate;
	_Atomic int      on;
	uint64_t         start_ns;
} heap;

/* HEAP_FREE_OBJECTS is in the last pair that is added to, with the weight that the allocation had:
 * until then it lives. */
static bool lives(const struct site_row *r)
{
	uint64_t freed = atomic_load_explicit(&r->value[HEAP_FREE_OBJECTS], memory_order_acquire);

	return atomic_load_explicit(&r->value[HEAP_ALLOC_OBJECTS], memory_order_acquire) != freed;
}

int heap_init(uint64_t budget_bytes)
{
	static const struct generations_kind kind = {
		.capture = CAPTURE_HEAP,
		.rows_eighths = 2,
		.reclaim_eighths = 2,
		.samples_eighths = 4,
		.row = heap_sizes_row,
		.lives = lives,
		.evicted = COUNT_HEAP_EVICTED,
	};
	int err = heap_live_init(budget_bytes / 4);

	heap.start_ns = os_monotonic_ns();
	if (err < 0)
		return err;
	err = generations_init(&heap_table, &kind, budget_bytes / 4 * 3);
	if (err < 0) {
		heap_live_free();
		return err;
	}
	atomic_store(&heap.on, 1);
	return 0;
}

void heap_after_fork(void)
{
	generations_after_fork(&heap_table);
	heap_live_clear();
}

void heap_set_rate(uint64_t bytes)
{
	atomic_store(&heap.rate, bytes);
}

uint64_t heap_rate(void)
{
	return atomic_load_explicit(&heap.rate, memory_order_relaxed);
}

/* Draws the next gap, of which `passed` bytes are behind us already.  True: it ends among them.
 *
 * The exponential distribution has no memory, so a long gap may be walked in pieces; at each
 * check-in a thread notices a new rate, and that heap_init has been. */
static HOT bool draw_gap(uint64_t passed)
{
	uint64_t rate = heap_rate(), gap = UINT64_MAX;

	if (rate == 1)
		gap = 0;
	else if (rate > 1)
		gap = random_exponential(&self.random, rate);
	self.heap_rate = rate;
	self.heap_gap_capped = false;
	self.heap_left = 0;
	if (rate != 0 && gap <= passed)
		return true;
	self.heap_gap_capped = gap - passed > HEAP_CHECK_IN_BYTES;
	self.heap_left = self.heap_gap_capped ? HEAP_CHECK_IN_BYTES : gap - passed;
	return false;
}

/* True if this allocation of n bytes, within which the countdown ended, is sampled. */
static bool is_due(size_t n)
{
	if (self.heap_rate != 0 && !self.heap_gap_capped)
		return true;
	/* A check-in: what of n lies behind it counts for the next gap. */
	return draw_gap(n > self.heap_left ? n - self.heap_left : 0);
}

static HOT uint32_t find_row(size_t n, struct capture *c)
{
	struct unwind_stack_bounds bounds = { .lo = self.slot->stack_lo,
					      .hi = self.slot->stack_hi };
	static const struct sample_losses losses = { COUNT_HEAP_NO_STACK, COUNT_HEAP_NO_SITE };
	struct site_key key = { .size = heap_sizes_key(n), .thread = thread_names_now(),
				.labels = self.labels };

	regs_here(&c->regs);
	return sample_row(c, &bounds, &heap_table, &key, &losses);
}

/* n >= 1. */
static void record(const void *p, size_t n, struct capture *c)
{
	uint32_t row = find_row(n, c);
	struct heap_block b = { .size = n, .row = row,
				.weight = random_weight(n, self.heap_rate) };

	if (row == 0)
		return;
	b.birth_s = (uint32_t)((os_monotonic_ns() - heap.start_ns) / 1000000000u);
	sites_add(&heap_table.sites, b.row, HEAP_ALLOC_OBJECTS, b.weight, heap_weighed_bytes(&b));
	sites_add(&heap_table.sites, b.row, HEAP_ALLOC_RAW, 1, n);
	heap_put_back(p, &b);
}

static void sample(const void *p, size_t n)
{
	struct capture *c;

	if (threads_is_in(CAPTURE_HEAP)) {
		count_add(COUNT_HEAP_NESTED);
		return;
	}
	/* No look at who runs here: a vfork child's block is really in its parent's heap, and
	 * threads that share thread-local data cannot call malloc at the same time. */
	c = threads_capture(CAPTURE_HEAP);
	if (c == NULL)
		return;
	threads_begin(CAPTURE_HEAP);
	record(p, n != 0 ? n : 1, c);   /* a block of malloc(0) is one, too */
	threads_end(CAPTURE_HEAP);
}

HOT void heap_sample(const void *p, size_t n)
{
	int host_errno = errno;

	if (self.phase == SELF_NEW && atomic_load_explicit(&heap.on, memory_order_acquire))
		threads_enter(NULL);
	threads_settle();
	if (self.phase != SELF_READY) {
		self.heap_left = HEAP_NOT_YET_BYTES;
		return;
	}
	if (is_due(n)) {
		/* The size counts with the rate its gap was drawn for. */
		if (p != NULL)
			sample(p, n);
		draw_gap(0);
	}
	errno = host_errno;
}

void heap_pin(const void *p)
{
	atomic_store(&heap_filter[heap_cell(p)], UINT8_MAX);
}

/* --- the end of a block ---------------------------------------------------------------------- */

HOT uint64_t heap_weighed_bytes(const struct heap_block *b)
{
	return (uint64_t)((unsigned __int128)b->weight * b->size / RANDOM_WEIGHT_ONE);
}

uint64_t heap_birth_ns(const struct heap_block *b)
{
	return heap.start_ns + ((uint64_t)b->birth_s + 1) * 1000000000u;
}

void heap_take(const void *p, struct heap_block *out)
{
	if (heap_live_has_not(p) || !heap_live_take(p, out))
		out->row = 0;
}

HOT void heap_freed(const struct heap_block *b)
{
	if (b->row == 0)
		return;
	sites_add(&heap_table.sites, b->row, HEAP_FREE_RAW, 1, b->size);
	sites_add(&heap_table.sites, b->row, HEAP_FREE_OBJECTS, b->weight, heap_weighed_bytes(b));
}

HOT void heap_put_back(const void *p, const struct heap_block *b)
{
	struct heap_block stale;

	if (b->row == 0)
		return;
	switch (heap_live_put(p, b, &stale)) {
	case HEAP_LIVE_PUT:
		break;
	case HEAP_LIVE_REPLACED:
		/* Its block was freed by a road without a door, or it could not be here again. */
		count_add(COUNT_HEAP_STALE);
		heap_freed(&stale);
		break;
	case HEAP_LIVE_FULL:
		count_add(COUNT_HEAP_NO_ROOM);
		heap_freed(b);
		break;
	}
}

static HOT NOINLINE void forget(const void *p)
{
	struct heap_block b;

	if (heap_live_take(p, &b))
		heap_freed(&b);
}

HOT void heap_forget(const void *p)
{
	if (!heap_live_has_not(p))
		forget(p);
}
