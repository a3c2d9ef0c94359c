/* Who waits for which lock and since when, beside a model that keeps a list; then with threads and
 * real mutexes, where all that waiters were made to wait is charged to somebody, to the ns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "fake/crowd.h"
#include "fake/odds.h"
#include "sampler/clock.h"
#include "sampler/count.h"
#include "sampler/lock_slots.h"
#include "sampler/locks.h"
#include "sampler/os.h"
#include "sampler/random.h"

#define BASE UINT64_C(0x7f1200000000)   /* nothing is read there */

static uint64_t seed, paper_ns;

static int paper(clockid_t clock, struct timespec *t)
{
	(void)clock;
	*t = (struct timespec){ (time_t)(paper_ns / 1000000000), (long)(paper_ns % 1000000000) };
	return 0;
}

static uint64_t draw(uint64_t n)
{
	return (random_next(&seed) >> 32) % n;
}

static int begin(void **state)
{
	(void)state;
	seed = random_seed(odds_seed());
	print_message("seed %llx\n", (unsigned long long)seed);
	clock_set_reader(paper);
	paper_ns += UINT64_C(1) << 40;
	return 0;
}

static int end(void **state)
{
	(void)state;
	clock_set_reader(NULL);
	return 0;
}

static const void *lock_at(uint64_t i)
{
	return (const void *)(uintptr_t)(BASE + 8 * i);
}

/* --- the model ------------------------------------------------------------------------------- */

#define LOCKS   60
#define CLOSE   12      /* of them, whose places overlap */
#define WAITERS 300

static const void *locks[LOCKS];
static struct waiter {
	unsigned lock;
	uint32_t weight, slot;          /* 0: it does not wait */
	uint64_t begin_ns, from_ns;
	bool     fresh;
} waiter[WAITERS];

static uint32_t place_of(const void *lock)
{
	return locks_hash(lock) >> (32 - LOCK_SLOTS_BITS);
}

static void choose_locks(void)
{
	uint32_t place = place_of(lock_at(0));
	unsigned n = 0;

	for (uint64_t i = 0; n < CLOSE; i++)
		if (place_of(lock_at(i)) == place + n % 2)
			locks[n++] = lock_at(i);
	while (n < LOCKS) {
		locks[n] = lock_at(1000000 + draw(1u << 30));
		n += place_of(locks[n]) - place > 1;
	}
}

static void model_join(struct waiter *w)
{
	uint64_t begins = paper_ns - (draw(4) == 0 ? draw(50) : 0), base = begins;

	w->lock = (unsigned)draw(LOCKS);
	w->weight = 1u << draw(11);
	w->slot = lock_slots_join(locks[w->lock], w->weight, &base, 0);
	assert_true(base >= begins && base <= paper_ns);
	if (w->slot == 0)
		assert_true(w->lock < CLOSE);
	w->begin_ns = w->from_ns = base;
	w->fresh = true;
}

static void model_leave(struct waiter *w)
{
	bool got = draw(2) == 0;
	uint64_t until;

	assert_int_equal(lock_slots_leave(w->slot, w->weight, w->begin_ns, got, &until),
			 !w->fresh);
	assert_true(until == w->from_ns);
	w->slot = 0;
	for (unsigned i = 0; got && i < WAITERS; i++)
		if (waiter[i].slot != 0 && waiter[i].lock == w->lock)
			waiter[i].from_ns = paper_ns;
}

static void model_charge(unsigned lock)
{
	struct lock_slots_due due;
	uint64_t ns = 0, waits = 0;
	unsigned waiting = 0;

	lock_slots_charge(locks[lock], 0, &due);
	for (unsigned i = 0; i < WAITERS; i++) {
		struct waiter *w = &waiter[i];

		if (w->slot == 0 || w->lock != lock)
			continue;
		waiting++;
		ns += w->weight * (paper_ns - w->from_ns);
		waits += w->fresh ? w->weight : 0;
		w->fresh = false;
		w->from_ns = paper_ns;
	}
	assert_int_equal(due.slot != 0, waiting != 0);
	assert_true(due.ns == ns);
	assert_true(due.waits == waits);
	assert_true(waiting == 0 || due.at_ns == paper_ns);
}

static void charges_are_those_of_the_model(void **state)
{
	unsigned refused = 0;

	(void)state;
	choose_locks();
	for (unsigned turn = 0; turn < 300000; turn++) {
		struct waiter *w = &waiter[draw(WAITERS)];

		/* Never the same ns twice: a charge that cost nothing leaves no trace. */
		paper_ns += 1 + draw(draw(10) == 0 ? 1000000 : 100);
		if (draw(3) == 0) {
			model_charge((unsigned)draw(LOCKS));
		} else if (w->slot != 0) {
			model_leave(w);
		} else {
			model_join(w);
			refused += w->slot == 0;
		}
	}
	print_message("%u refused\n", refused);
	assert_true(refused > 100);
	for (unsigned i = 0; i < WAITERS; i++)
		if (waiter[i].slot != 0)
			model_leave(&waiter[i]);
	for (unsigned i = 0; i < LOCKS; i++)
		model_charge(i);
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void what_can_be_no_lock_has_no_slot(void **state)
{
	static const uintptr_t bad[] = { 0, 0x7f1200000001, 0x7f1200000002, 0x7f1200000007,
					 UINT64_C(1) << 47, UINT64_C(0xffffffffff600000) };
	struct lock_slots_due due;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		uint64_t at = paper_ns;

		assert_int_equal(lock_slots_join((const void *)bad[i], 1, &at, 0), 0);
		lock_slots_charge((const void *)bad[i], 0, &due);
		assert_int_equal(due.slot, 0);
	}
}

/* 255 times the largest weight are the most that W holds; who comes then is not charged for, and
 * the address beside W is what it was. */
static void too_many_waiters_are_refused(void **state)
{
	const void *lock = lock_at(5);
	uint64_t at = paper_ns;
	struct lock_slots_due due;
	uint32_t slot = 0;

	(void)state;
	for (unsigned i = 0; i < 255; i++) {
		uint32_t is = lock_slots_join(lock, 1024, &at, 0);

		assert_true(is != 0 && (slot == 0 || is == slot));
		slot = is;
	}
	assert_int_equal(lock_slots_join(lock, 1024, &at, 0), 0);
	assert_int_equal(lock_slots_join(lock, 1023, &at, 0), slot);
	assert_int_equal(lock_slots_join(lock, 1, &at, 0), 0);
	paper_ns += 10;
	lock_slots_charge(lock, 0, &due);
	assert_int_equal(due.slot, slot);
	assert_true(due.ns == 10 * 262143 && due.waits == 262143);
	for (unsigned i = 0; i < 255; i++)
		lock_slots_leave(slot, 1024, at, false, NULL);
	lock_slots_leave(slot, 1023, at, false, NULL);
	lock_slots_charge(lock, 0, &due);
	assert_int_equal(due.slot, 0);
}

static void a_full_table_refuses_and_is_empty_again(void **state)
{
	static uint32_t slot[4 * LOCK_SLOTS];
	uint64_t at = paper_ns;
	unsigned n = 0, again = 0;

	(void)state;
	for (unsigned turn = 0; turn < 2; turn++) {
		unsigned is = 0;

		for (unsigned i = 0; i < 4 * LOCK_SLOTS; i++)
			is += (slot[i] = lock_slots_join(lock_at(977 * i), 1, &at, 0)) != 0;
		for (unsigned i = 0; i < 4 * LOCK_SLOTS; i++)
			if (slot[i] != 0)
				lock_slots_leave(slot[i], 1, at, i % 2 != 0, NULL);
		again = n;
		n = is;
	}
	assert_true(n == again);
	assert_in_range(n, LOCK_SLOTS * 9 / 10, LOCK_SLOTS);
}

/* Each thread's own, at the same place of each of malloc's arenas. */
static void locks_64_MiB_apart_all_have_room(void **state)
{
	uint32_t slot[48];
	uint64_t at = paper_ns;

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(slot); i++) {
		slot[i] = lock_slots_join((void *)(uintptr_t)(BASE + i * (UINT64_C(64) << 20)), 1,
					  &at, 0);
		assert_int_not_equal(slot[i], 0);
	}
	for (unsigned i = 0; i < COUNT_OF(slot); i++)
		lock_slots_leave(slot[i], 1, at, false, NULL);
}

/* Of two that wait one is taken out with a beginning that it never had. */
static void what_cannot_be_is_not_charged(void **state)
{
	static const uint64_t wrong[] = { 1u << 30, UINT64_C(1) << 62, UINT64_C(1) << 63,
					  -(UINT64_C(1) << 62) };
	uint64_t odd = count_get(COUNT_LOCK_ODD);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		uint64_t at = paper_ns;
		struct lock_slots_due due;
		uint32_t slot = lock_slots_join(lock_at(9), 1, &at, 0);

		assert_int_equal(lock_slots_join(lock_at(9), 1, &at, 0), slot);
		paper_ns += 1000;
		lock_slots_leave(slot, 1, at + wrong[i], false, NULL);
		lock_slots_charge(lock_at(9), 0, &due);
		/* One that is too long by a second can be. */
		assert_true(due.ns == (i == 0 ? 1000 + wrong[0] : 0));
		paper_ns += 1000;
		lock_slots_charge(lock_at(9), 0, &due);
		assert_true(due.ns == 1000);
		lock_slots_leave(slot, 1, at, false, NULL);
	}
	assert_int_equal(count_get(COUNT_LOCK_ODD) - odd, 3);
}

/* Of two locks that are 256 GiB apart the hash is the same. */
static void locks_are_told_apart_by_their_whole_address(void **state)
{
	const void *a = lock_at(3), *b = lock_at(3 + (UINT64_C(1) << 35));
	uint64_t at = paper_ns;
	struct lock_slots_due due;
	uint32_t slot = lock_slots_join(a, 1, &at, 0);

	(void)state;
	assert_int_equal(locks_hash(a), locks_hash(b));
	lock_slots_charge(b, 0, &due);
	assert_int_equal(due.slot, 0);
	assert_int_not_equal(lock_slots_join(b, 1, &at, 0), slot);
	lock_slots_leave(slot, 1, at, false, NULL);
}

/* --- threads --------------------------------------------------------------------------------- */

#define THREADS 6
#define SECONDS 1.0

static pthread_mutex_t mutex[3] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
				    PTHREAD_MUTEX_INITIALIZER };
static double end_s;
static _Atomic uint64_t waited_ns, waits, charged_ns, charged;
static bool with_others;        /* who charge without the mutex, as readers of an rwlock do */

static void charge(const void *lock)
{
	struct lock_slots_due due;

	lock_slots_charge(lock, 0, &due);
	CROWD_DEMAND(due.ns < UINT64_C(1) << 50);
	atomic_fetch_add(&charged_ns, due.ns);
	atomic_fetch_add(&charged, due.waits);
}

static void spin(uint64_t ns)
{
	uint64_t until = os_monotonic_ns() + ns;

	while (os_monotonic_ns() < until)
		;
}

/* As a door: some give up before they have it. */
static void take_part(unsigned who)
{
	uint64_t random = random_seed(who + seed);

	while (crowd_now_s() < end_s) {
		pthread_mutex_t *m = &mutex[random_next(&random) % 3];
		uint32_t weight = 1u << (random_next(&random) >> 40) % 8;
		uint64_t from = os_monotonic_ns(), until;
		uint32_t slot = lock_slots_join(m, weight, &from, 0);
		struct timespec soon;
		bool has, was_charged;

		CROWD_DEMAND(slot != 0);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec = (soon.tv_nsec + 20000) % 1000000000;
		has = pthread_mutex_timedlock(m, &soon) == 0;
		was_charged = lock_slots_leave(slot, weight, from, false, &until);
		CROWD_DEMAND(until >= from);
		atomic_fetch_add(&waited_ns, weight * (until - from));
		atomic_fetch_add(&waits, was_charged ? weight : 0);
		if (!has)
			continue;
		spin(random_next(&random) >> 40 & 16383);
		charge(m);
		pthread_mutex_unlock(m);
		if (with_others)
			charge(m);
	}
}

static void run_threads(bool others)
{
	clock_set_reader(NULL);
	lock_slots_after_fork();        /* their last charges were by the clock on paper, which may be ahead */
	with_others = others;
	waited_ns = waits = charged_ns = charged = 0;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS, take_part);
	crowd_check();
	print_message("waited %llu ns in %llu, charged %llu ns in %llu\n",
		      (unsigned long long)waited_ns, (unsigned long long)waits,
		      (unsigned long long)charged_ns, (unsigned long long)charged);
	assert_true(charged_ns > SECONDS * 1e9);
}

static void all_waiting_is_charged_to_the_ns(void **state)
{
	(void)state;
	run_threads(false);
	assert_true(charged_ns == waited_ns);
	/* Who gives up in the very ns of a charge may be counted with that, or with none. */
	assert_true(fabs((double)charged - (double)waits) < 0.01 * (double)waits + 3 * 128);
}

/* Two charges within ns of each other may be taken for one. */
static void charges_that_come_together_lose_next_to_nothing(void **state)
{
	(void)state;
	run_threads(true);
	assert_true(fabs((double)charged_ns - (double)waited_ns) < 0.001 * (double)waited_ns);
}

static int init(void **state)
{
	(void)state;
	paper_ns = 1000;
	clock_set_reader(paper);
	return lock_slots_init();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(charges_are_those_of_the_model),
		TEST(what_can_be_no_lock_has_no_slot),
		TEST(too_many_waiters_are_refused),
		TEST(a_full_table_refuses_and_is_empty_again),
		TEST(locks_64_MiB_apart_all_have_room),
		TEST(what_cannot_be_is_not_charged),
		TEST(locks_are_told_apart_by_their_whole_address),
		TEST(all_waiting_is_charged_to_the_ns),
		TEST(charges_that_come_together_lose_next_to_nothing),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
