#include "sampler/lock_pairs.h"

#include <errno.h>
#include <stdatomic.h>

#include "sampler/levels.h"
#include "sampler/os.h"
#include "sampler/pair.h"

#define PROBES 8

struct cell {
	_Alignas(PAIR_ALIGN) _Atomic(uint64_t) sum[2];  /* contentions, delay */
	_Atomic(uint64_t) rows;         /* the waiter's and the holder's; 0: free */
	_Atomic(uint64_t) hashes;       /* 0: not there yet */
};

static struct cell *cells;      /* [0] is of evicted sites */

int lock_pairs_init(void)
{
	cells = os_map_wiped(LOCK_PAIRS * sizeof(*cells));
	return cells != NULL ? 0 : -ENOMEM;
}

void lock_pairs_after_fork(void)
{
	if (cells != NULL)
		os_clear(cells, LOCK_PAIRS * sizeof(*cells));
}

struct lock_site lock_pairs_site(const struct generations *g, uint32_t row)
{
	const struct site_row *r = &g->sites.row[row];
	struct site_key key;
	uint64_t hash;

	if (row < GENERATIONS_ROWS || row >= sites_end(&g->sites))
		return (struct lock_site){ 0, 0 };
	key = (struct site_key){ .stack = atomic_load_explicit(&r->stack, memory_order_acquire),
				 .size = r->size, .thread = r->thread, .labels = r->labels };
	if (key.stack == 0)
		return (struct lock_site){ 0, 0 };
	hash = generations_hash(g, &key);
	return (struct lock_site){ row, (uint32_t)(hash ^ hash >> 32) | 1 };
}

static uint64_t both(uint32_t waiter, uint32_t holder)
{
	return (uint64_t)waiter << 32 | holder;
}

/* Two that come at the same moment, one of them with a site that has just been given the row of
 * another one, may count on one cell. */
static bool is_mine(struct cell *c, uint64_t rows, uint64_t hashes)
{
	uint64_t is = atomic_load_explicit(&c->rows, memory_order_relaxed);

	if (is == 0)
		atomic_compare_exchange_strong(&c->rows, &is, rows);
	if (is != 0 && is != rows)
		return false;
	is = atomic_load_explicit(&c->hashes, memory_order_relaxed);
	if (is == 0)
		atomic_compare_exchange_strong(&c->hashes, &is, hashes);
	return is == 0 || is == hashes;
}

static struct cell *find(uint64_t rows, uint64_t hashes)
{
	uint64_t from = levels_hash(rows ^ hashes);

	for (unsigned i = 0; rows != 0 && i < PROBES; i++) {
		struct cell *c = &cells[1 + (from + i) % (LOCK_PAIRS - 1)];

		if (is_mine(c, rows, hashes))
			return c;
	}
	return &cells[0];
}

void lock_pairs_add(struct lock_site waiter, struct lock_site holder, uint64_t contentions,
		    uint64_t delay_ns)
{
	if (cells != NULL)
		pair_add(find(both(waiter.row, holder.row), both(waiter.hash, holder.hash))->sum,
			 contentions, delay_ns);
}

/* The row, if it is still this site's. */
static uint32_t still(const struct generations *g, uint32_t row, uint32_t hash)
{
	return lock_pairs_site(g, row).hash == hash ? row : 0;
}

bool lock_pairs_at(uint32_t i, const struct generations *waiters,
		   const struct generations *holders, struct lock_pair *out)
{
	uint64_t rows, hashes, sum[2];

	if (cells == NULL || i >= LOCK_PAIRS)
		return false;
	pair_read(cells[i].sum, sum);
	if (sum[0] == 0 && sum[1] == 0)
		return false;
	rows = atomic_load_explicit(&cells[i].rows, memory_order_relaxed);
	hashes = atomic_load_explicit(&cells[i].hashes, memory_order_relaxed);
	*out = (struct lock_pair){
		.waiter = still(waiters, (uint32_t)(rows >> 32), (uint32_t)(hashes >> 32)),
		.holder = still(holders, (uint32_t)rows, (uint32_t)hashes),
		.contentions = sum[0],
		.delay_ns = sum[1],
	};
	return true;
}
