#include "sampler/sites.h"

#include <assert.h>
#include <errno.h>

#include "sampler/os.h"

static_assert(sizeof(struct site_row) == 80, "a row is 80 bytes, for whoever divides a budget");
static_assert(SITES_VALUES % 2 == 0, "values are pairs");

int sites_init(struct sites *s, uint32_t rows_max)
{
	struct site_row *row = os_map_wiped(rows_max * sizeof(*row));
	_Atomic(uint32_t) *again;

	if (row == NULL)
		return -ENOMEM;
	again = os_map_wiped(rows_max * sizeof(*again));
	if (again == NULL) {
		os_unmap(row, rows_max * sizeof(*row));
		return -ENOMEM;
	}
	s->row = row;
	s->again = again;
	s->rows_max = rows_max;
	s->taken = 1;
	s->given = rows_max;
	return 0;
}

void sites_free(struct sites *s)
{
	os_unmap(s->row, s->rows_max * sizeof(*s->row));
	os_unmap((void *)(uintptr_t)s->again, s->rows_max * sizeof(*s->again));
	*s = (struct sites){ .row = NULL };
}

void sites_clear(struct sites *s)
{
	os_clear(s->row, s->rows_max * sizeof(*s->row));
	os_clear((void *)(uintptr_t)s->again, s->rows_max * sizeof(*s->again));
	s->taken = 1;
	s->given = s->rows_max;
}

uint32_t sites_take(struct sites *s)
{
	uint64_t n = atomic_load_explicit(&s->taken, memory_order_relaxed);
	uint32_t row;

	/* What stands at n stays as long as n was not taken: so it is read before. */
	do {
		if (n >= atomic_load_explicit(&s->given, memory_order_acquire))
			return 0;
		row = n < s->rows_max
			      ? (uint32_t)n
			      : atomic_load_explicit(&s->again[n % s->rows_max],
						     memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&s->taken, &n, n + 1, memory_order_relaxed,
							memory_order_relaxed));
	return row;
}

void sites_give(struct sites *s, uint32_t row)
{
	uint64_t n = atomic_load_explicit(&s->given, memory_order_relaxed);
	struct site_row *r = &s->row[row];

	atomic_store_explicit(&r->stack, 0, memory_order_relaxed);
	for (unsigned i = 0; i < SITES_VALUES; i++)
		atomic_store_explicit(&r->value[i], 0, memory_order_relaxed);
	atomic_store_explicit(&s->again[n % s->rows_max], row, memory_order_relaxed);
	atomic_store_explicit(&s->given, n + 1, memory_order_release);
}

uint32_t sites_end(const struct sites *s)
{
	uint64_t end = atomic_load_explicit(&s->taken, memory_order_acquire);

	return s->row == NULL ? 1 : end < s->rows_max ? (uint32_t)end : s->rows_max;
}

uint32_t sites_count(const struct sites *s)
{
	uint64_t given = atomic_load_explicit(&s->given, memory_order_acquire);
	uint64_t taken = atomic_load_explicit(&s->taken, memory_order_relaxed);

	return s->row == NULL ? 0 : (uint32_t)(taken - 1 - (given - s->rows_max));
}

bool sites_read(const struct sites *s, uint32_t row, struct site_key *key,
		uint64_t value[SITES_VALUES])
{
	struct site_row *r = &s->row[row];

	key->stack = atomic_load_explicit(&r->stack, memory_order_acquire);
	if (key->stack == 0)
		return false;
	key->size = r->size;
	key->thread = r->thread;
	key->labels = r->labels;
	key->stack_hash = 0;
	/* Last first: the heap's frees (high numbers) are read before its allocations, so that a
	 * reading never shows more freed than allocated. */
	for (unsigned i = SITES_VALUES; i > 0; i -= 2)
		pair_read(&r->value[i - 2], &value[i - 2]);
	return true;
}

bool sites_counted(const struct sites *s, uint32_t row)
{
	for (unsigned i = 0; i < SITES_VALUES; i++)
		if (atomic_load_explicit(&s->row[row].value[i], memory_order_acquire) != 0)
			return true;
	return false;
}
