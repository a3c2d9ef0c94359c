#include "sampler/lock_thin.h"

static uint16_t load(const _Atomic uint16_t *cell)
{
	return atomic_load_explicit(cell, memory_order_relaxed);
}

void lock_thin_come(_Atomic uint16_t *cell)
{
	uint16_t was = load(cell);

	while ((was & LOCK_CELL_WAITS) != LOCK_CELL_WAITS &&
	       !atomic_compare_exchange_weak(cell, &was, (uint16_t)(was + 1)))
		;
}

void lock_thin_go(_Atomic uint16_t *cell)
{
	uint16_t was = load(cell), now;

	do {
		unsigned waits = was & LOCK_CELL_WAITS;

		if (waits == 0 || waits == LOCK_CELL_WAITS)
			return;
		now = (uint16_t)(was - 1);
		if (waits == 1)
			now &= (uint16_t)~LOCK_CELL_BETWEEN;    /* what races have left */
	} while (!atomic_compare_exchange_weak(cell, &was, now));
}

static void one_more_between(_Atomic uint16_t *cell)
{
	uint16_t was = load(cell);

	while ((was & LOCK_CELL_BETWEEN) != LOCK_CELL_BETWEEN &&
	       !atomic_compare_exchange_weak(cell, &was, (uint16_t)(was + LOCK_CELL_ONE)))
		;
}

static void one_less_between(_Atomic uint16_t *cell)
{
	uint16_t was = load(cell);

	while ((was & LOCK_CELL_BETWEEN) != LOCK_CELL_BETWEEN && (was & LOCK_CELL_BETWEEN) != 0 &&
	       !atomic_compare_exchange_weak(cell, &was, (uint16_t)(was - LOCK_CELL_ONE)))
		;
}

static uint32_t next_times(const _Atomic uint16_t *cell, uint64_t draw)
{
	unsigned shift = LOCK_CELL_SHIFT(load(cell));

	return lock_thin_chooses(shift, draw) ? LOCK_THIN_OF(shift) : 0;
}

/* Whoever was here last may have left it at anything. */
void lock_thin_begin(struct lock_thin *t, _Atomic uint16_t *cell, uint64_t draw)
{
	uint32_t next = next_times(cell, draw);
	uint32_t was = atomic_exchange(&t->times, next);

	if (next != 0 && (was == 0 || (load(cell) & LOCK_CELL_BETWEEN) == 0))
		one_more_between(cell);
	else if (next == 0 && was != 0)
		one_less_between(cell);
}

bool lock_thin_take(struct lock_thin *t, _Atomic uint16_t *cell, uint64_t draw, uint32_t *times)
{
	uint32_t next = next_times(cell, draw);

	*times = atomic_load_explicit(&t->times, memory_order_relaxed);
	if (*times != next)
		*times = atomic_exchange(&t->times, next);
	if (*times == 0 && next != 0)
		one_more_between(cell);
	else if (*times != 0 && next == 0)
		one_less_between(cell);
	return *times != 0 || next != 0;
}

static void change_shift(_Atomic uint16_t *cell, int by)
{
	uint16_t was = load(cell);
	int shift = (int)LOCK_CELL_SHIFT(was) + by;

	if (shift < 0 || shift > LOCK_THIN_MAX)
		return;
	/* If it is not as it was, another time. */
	(void)!atomic_compare_exchange_strong(cell, &was,
					      (uint16_t)(was + by * (1 << LOCK_CELL_SHIFT_AT)));
}

void lock_thin_taken(struct lock_thin *t, _Atomic uint16_t *cell, uint64_t at_ns)
{
	/* Not exactly: two may count as one. */
	uint32_t taken = atomic_load_explicit(&t->taken, memory_order_relaxed) + 1;
	uint64_t passed;

	atomic_store_explicit(&t->taken, taken, memory_order_relaxed);
	if (taken % LOCK_THIN_TAKEN != 0)
		return;
	passed = at_ns - atomic_load_explicit(&t->since_ns, memory_order_relaxed);
	atomic_store_explicit(&t->since_ns, at_ns, memory_order_relaxed);
	if (passed < LOCK_THIN_MANY)
		change_shift(cell, 1);
	else if (passed > LOCK_THIN_FEW)
		change_shift(cell, -1);
}
