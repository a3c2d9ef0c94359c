/* Which lock a site has in its key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/crowd.h"
#include "fake/stacks_add.h"
#include "sampler/lock_ids.h"
#include "sampler/random.h"

static const struct generations_kind kind = {
	.rows_eighths = 4, .reclaim_eighths = 6, .samples_eighths = 8, .evicted = COUNT_REASONS,
};

static struct generations table;

static const void *lock_at(uint64_t i)
{
	return (const void *)(uintptr_t)(UINT64_C(0x555500000000) + 40 * i);
}

/* The lock in the key of the row on which a sample of this stack and lock counts; the id to *id. */
static const void *lock_of(frame_t stack, const void *lock, uint32_t *id)
{
	uint64_t now = generations_now(&table), value[SITES_VALUES];
	uint32_t node = stacks_add(&generations_at(&table, now)->stacks, &stack, 1);
	struct lock_key key = { .key.stack = generations_stack(now, node), .lock = lock };
	struct site_key got;
	uint32_t row = lock_ids_row(&table, now, &key.key);

	CROWD_DEMAND(row != 0 && row == lock_ids_row(&table, now, &key.key));
	CROWD_DEMAND(sites_read(&table.sites, row, &got, value));
	CROWD_DEMAND(got.stack == key.key.stack);
	if (id != NULL)
		*id = got.size;
	return lock_ids_address(got.size);
}

static void a_lock_is_known_by_its_id(void **state)
{
	uint32_t id, again;

	(void)state;
	assert_ptr_equal(lock_of(100, lock_at(1), &id), lock_at(1));
	assert_int_not_equal(id, 0);
	assert_ptr_equal(lock_of(101, lock_at(1), &again), lock_at(1));
	assert_int_equal(again, id);
	assert_ptr_equal(lock_of(100, lock_at(2), &again), lock_at(2));
	assert_int_not_equal(again, id);
	assert_null(lock_of(100, NULL, &id));
	assert_int_equal(id, 0);
	assert_null(lock_ids_address(0));
	assert_null(lock_ids_address(LOCK_IDS + 1));
	assert_null(lock_ids_address(UINT32_MAX));
	crowd_check();
}

static void a_stack_has_few_of_its_own(void **state)
{
	uint32_t rows;

	(void)state;
	for (unsigned i = 0; i < LOCK_IDS_OWN; i++)
		assert_ptr_equal(lock_of(200, lock_at(100 + i), NULL), lock_at(100 + i));
	for (unsigned i = LOCK_IDS_OWN; i < 1000; i++)
		assert_null(lock_of(200, lock_at(100 + i), NULL));
	rows = sites_count(&table.sites);
	/* Those it has, it keeps. */
	for (unsigned i = 0; i < LOCK_IDS_OWN; i++)
		assert_ptr_equal(lock_of(200, lock_at(100 + i), NULL), lock_at(100 + i));
	assert_int_equal(sites_count(&table.sites), rows);
	/* Another stack has its own. */
	assert_ptr_equal(lock_of(201, lock_at(600), NULL), lock_at(600));
	crowd_check();
}

/* --- threads, until it is full --------------------------------------------------------------- */

#define THREADS 6
#define EACH    3000            /* locks, most of them no other thread's */

static void fill(unsigned who)
{
	uint64_t random = random_seed(who);

	for (unsigned i = 0; i < EACH; i++) {
		bool shared = i % 4 == 0;
		const void *lock = lock_at(10000 + (shared ? i : EACH * (who + 1) + i));
		frame_t stack = 1000 + i / 4 * 8 + (shared ? 7 : who);
		const void *is = lock_of(stack, lock, NULL);

		CROWD_DEMAND(is == lock || is == NULL);
		CROWD_DEMAND(is == lock_of(stack, lock, NULL));
		if (random_next(&random) % 64 == 0)
			CROWD_DEMAND(lock_of(100, lock_at(1), NULL) == lock_at(1));
	}
}

static void a_full_table_gives_no_ids(void **state)
{
	unsigned used = 0, twice = 0;

	(void)state;
	crowd_run(THREADS, fill);
	crowd_check();
	for (uint32_t id = 1; id <= LOCK_IDS; id++) {
		const void *is = lock_ids_address(id);

		used += is != NULL;
		for (uint32_t k = 1; is != NULL && k < id; k++)
			twice += lock_ids_address(k) == is;
	}
	assert_int_equal(twice, 0);
	assert_in_range(used, LOCK_IDS * 9 / 10, LOCK_IDS);
	assert_null(lock_of(77777, lock_at(99999999), NULL));
	assert_ptr_equal(lock_of(100, lock_at(1), NULL), lock_at(1));
	crowd_check();
}

static int init(void **state)
{
	(void)state;
	return generations_init(&table, &kind, 16u << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_is_known_by_its_id),
		cmocka_unit_test(a_stack_has_few_of_its_own),
		cmocka_unit_test(a_full_table_gives_no_ids),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
