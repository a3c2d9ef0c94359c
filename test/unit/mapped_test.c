/* What doors tell of mapped memory, in every order in which it can come. */
#include "sampler/mapped.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/crowd.h"
#include "sampler/modules.h"
#include "sampler/random.h"

#define PAGE   4096u
#define BASE   UINT64_C(0x100000000000) /* where nobody maps anything */
#define BUDGET (2u << 20)       /* more ranges than the queue has events */

static struct { uint64_t value[4], dropped[COUNT_REASONS]; } before;

static void sum_up(uint64_t sum[4])
{
	memset(sum, 0, 4 * sizeof(sum[0]));
	for (uint32_t row = 1; row < sites_end(&mapped_table.sites); row++) {
		uint64_t value[SITES_VALUES];
		struct site_key key;

		if (!sites_read(&mapped_table.sites, row, &key, value))
			continue;
		for (unsigned i = 0; i < 4; i++)
			sum[i] += value[i];
	}
}

static uint64_t grown(enum mapped_value which)
{
	uint64_t sum[4];

	sum_up(sum);
	return sum[which] - before.value[which];
}

static uint64_t dropped(enum count reason)
{
	return count_get(reason) - before.dropped[reason];
}

static int begin(void **state)
{
	(void)state;
	sum_up(before.value);
	for (unsigned i = 0; i < COUNT_REASONS; i++)
		before.dropped[i] = count_get((enum count)i);
	return 0;
}

/* Nothing is left of a test. */
static int end(void **state)
{
	(void)state;
	mapped_gone(BASE, (size_t)1 << 40, mapped_ticket());
	return mapped.state->ranges.live != 0;
}

static int end_exactly(void **state)
{
	return end(state) != 0 || grown(MAPPED_ALLOC_BYTES) != grown(MAPPED_FREE_BYTES);
}

static uintptr_t page(uint64_t i)
{
	return BASE + i * PAGE;
}

static int64_t seen(uint64_t from, uint64_t to)
{
	return mapped_seen(page(from), page(to)) / PAGE;
}

static void assert_in_use(uint64_t objects, uint64_t pages)
{
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS) - grown(MAPPED_FREE_OBJECTS), objects);
	assert_int_equal(grown(MAPPED_ALLOC_BYTES) - grown(MAPPED_FREE_BYTES), pages * PAGE);
}

/* --- one thread ------------------------------------------------------------------------------ */

static void every_call_counts(void **state)
{
	uint32_t rows;

	(void)state;
	mapped_new(page(0), PAGE);
	rows = sites_count(&mapped_table.sites);
	for (unsigned i = 1; i < 10; i++)
		mapped_new(page(10 * i), i * PAGE);
	/* It is one place: of all frames here only libc's are not "ours". */
	assert_int_equal(sites_count(&mapped_table.sites), rows);
	assert_in_use(10, 46);
	mapped_gone(page(0), PAGE, mapped_ticket());
	mapped_gone(page(91), 4 * PAGE, mapped_ticket());
	assert_in_use(9, 41);
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS), 10);
	assert_int_equal(seen(0, 100), 41);
}

static void what_is_mapped_over_is_gone(void **state)
{
	(void)state;
	mapped_new(page(0), 10 * PAGE);
	mapped_new(page(4), 2 * PAGE);
	assert_in_use(2, 10);
	mapped_new(page(0), 10 * PAGE);
	assert_in_use(1, 10);
}

/* Between a munmap and its word another thread was given the address. */
static void a_late_word_takes_nothing_of_who_came_after(void **state)
{
	uint64_t ticket;

	(void)state;
	mapped_new(page(0), 4 * PAGE);
	ticket = mapped_ticket();
	mapped_new(page(1), 2 * PAGE);
	mapped_gone(page(0), 4 * PAGE, ticket);
	assert_in_use(1, 2);
	assert_int_equal(seen(1, 3), 2);
}

static void while_the_table_is_busy_nobody_waits_and_nothing_is_lost(void **state)
{
	struct state *s = mapped.state;

	(void)state;
	assert_true(try_begin(s));
	for (unsigned i = 0; i < 100; i++) {
		mapped_new(page(i), PAGE);
		if (i % 2 == 0)
			mapped_gone(page(i), PAGE, mapped_ticket());
	}
	assert_int_equal(s->ranges.live, 0);
	assert_int_equal(mapped_seen(0, UINTPTR_MAX), -EBUSY);
	/* Who cannot look must think that it might be. */
	assert_true(mapped_knows(page(0), PAGE));
	assert_in_use(100, 100);
	atomic_store(&s->busy, 0);
	for (unsigned i = 0; i < 10; i++)
		mapped_gone(page(1000), PAGE, mapped_ticket());
	assert_in_use(50, 50);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 0);
}

static void a_full_queue_loses_and_counts(void **state)
{
	struct state *s = mapped.state;

	(void)state;
	mapped_new(page(0), PAGE);
	assert_true(try_begin(s));
	for (unsigned i = 1; i <= EVENTS + 10; i++)
		mapped_new(page(i), PAGE);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 10);
	mapped_gone(page(0), PAGE, mapped_ticket());
	assert_int_equal(dropped(COUNT_MMAP_LOST), 11);
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS), EVENTS + 11);
	assert_in_use(EVENTS + 1, EVENTS + 1);
	atomic_store(&s->busy, 0);
	while (is_next_there(s))
		work(s);
	assert_in_use(EVENTS + 1, EVENTS + 1);
	/* Round and round. */
	for (unsigned i = 0; i < 3 * EVENTS; i++)
		mapped_gone(page(i + 1), PAGE, mapped_ticket());
	assert_in_use(1, 1);
}

static void one_works_off_a_bounded_number(void **state)
{
	struct state *s = mapped.state;

	(void)state;
	assert_true(try_begin(s));
	for (unsigned i = 0; i < 5 * EVENTS_AT_ONCE; i++)
		mapped_new(page(i), PAGE);
	atomic_store(&s->busy, 0);
	mapped_new(page(5000), PAGE);
	assert_int_equal(s->ranges.live, EVENTS_AT_ONCE);
	while (is_next_there(s))
		work(s);
	assert_int_equal(s->ranges.live, 5 * EVENTS_AT_ONCE + 1);
}

static void without_room_it_is_allocated_but_not_in_use(void **state)
{
	(void)state;
	for (unsigned i = 0; i < mapped.max + 5; i++)
		mapped_new(page(2 * i), PAGE);
	assert_int_equal(dropped(COUNT_MMAP_NO_ROOM), 5);
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS), mapped.max + 5);
	assert_in_use(mapped.max, mapped.max);
}

static void errno_and_signal_mask_stay(void **state)
{
	sigset_t mask, now;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_SETMASK, &mask, NULL), 0);
	errno = 77;
	mapped_new(page(0), PAGE);
	assert_true(mapped_knows(page(0), PAGE));
	assert_false(mapped_knows(page(1), PAGE));
	mapped_gone(page(0), PAGE, mapped_ticket());
	assert_int_equal(errno, 77);
	sigprocmask(SIG_SETMASK, NULL, &now);
	assert_int_equal(sigismember(&now, SIGUSR2), 1);
	assert_int_equal(sigismember(&now, SIGUSR1), 0);
	sigemptyset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

static void a_sealed_process_makes_no_call(void **state)
{
	(void)state;
	threads_seal(true);
	assert_int_equal(mapped_ticket(), 0);
	mapped_new(page(0), PAGE);
	assert_false(mapped_knows(page(0), PAGE));
	threads_seal(false);
	assert_in_use(0, 0);
}

static void a_child_begins_with_nothing(void **state)
{
	int status;
	pid_t child;

	(void)state;
	mapped_new(page(0), 8 * PAGE);
	/* Also while another thread is at it. */
	assert_true(try_begin(mapped.state));
	child = fork();
	if (child == 0) {
		bool empty;

		threads_after_fork();
		mapped_after_fork();
		empty = mapped_seen(0, UINTPTR_MAX) == 0;
		memset(&before, 0, sizeof(before));
		mapped_new(page(1), 2 * PAGE);
		_exit(empty && mapped_seen(0, UINTPTR_MAX) == 2 * PAGE &&
				      grown(MAPPED_ALLOC_BYTES) == 2 * PAGE ? 0 : 1);
	}
	atomic_store(&mapped.state->busy, 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_in_use(1, 8);
}

/* --- many threads, and handlers that jump ---------------------------------------------------- */

#define THREADS 8
#define SLOTS   32
#define SECONDS 0.6

static double end_s;
static _Atomic int owned[THREADS][SLOTS];       /* 0 free, 1 being handled, 2 mapped */

static uint64_t place(unsigned who, unsigned slot)
{
	return ((uint64_t)who * SLOTS + slot) * 8;
}

/* Maps 8 pages; another thread may unmap them, the first half before the second. */
static void take_part(unsigned who)
{
	uint64_t random = random_seed(who + 1);

	for (unsigned turn = 0; turn % 64 != 0 || crowd_now_s() < end_s; turn++) {
		unsigned owner = (unsigned)((who + (random_next(&random) >> 63)) % THREADS);
		unsigned slot = (unsigned)(random_next(&random) >> 32) % SLOTS;
		uint64_t at = place(owner, slot);
		int was = atomic_load(&owned[owner][slot]);

		if (was == 1 || !atomic_compare_exchange_strong(&owned[owner][slot], &was, 1))
			continue;
		if (was == 0) {
			mapped_new(page(at), 8 * PAGE);
		} else {
			mapped_gone(page(at), 4 * PAGE, mapped_ticket());
			mapped_gone(page(at + 4), 4 * PAGE, mapped_ticket());
		}
		atomic_store(&owned[owner][slot], was == 0 ? 2 : 0);
	}
	threads_leave();
}

static void threads_unmap_what_others_have_mapped(void **state)
{
	unsigned left = 0;

	(void)state;
	end_s = crowd_now_s() + SECONDS;
	crowd_run(THREADS, take_part);
	crowd_check();
	while (is_next_there(mapped.state))
		work(mapped.state);
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < SLOTS; k++)
			left += owned[i][k] == 2;
	assert_true(grown(MAPPED_ALLOC_OBJECTS) > 1000);
	/* Eight threads, an event or two each: the queue cannot be full, unless one of them is away
	 * while the others have 1024. */
	if (dropped(COUNT_MMAP_LOST) == 0)
		assert_in_use(left, left * 8);
	memset(owned, 0, sizeof(owned));
}

static sigjmp_buf away;
static volatile sig_atomic_t inside, jumps;

static void jump(int sig)
{
	(void)sig;
	mapped_gone(page(7), PAGE, mapped_ticket());
	mapped_new(page(7), PAGE);
	if (inside) {
		jumps++;
		siglongjmp(away, 1);
	}
}

/* Wherever it was, it goes on: none of the 2000 leaves the table or the queue to nobody. */
static void a_handler_that_jumps_away_holds_up_nobody(void **state)
{
	struct itimerval often = { { 0, 97 }, { 0, 97 } }, never = { { 0, 0 }, { 0, 0 } };

	(void)state;
	signal(SIGALRM, jump);
	setitimer(ITIMER_REAL, &often, NULL);
	while (jumps < 2000) {
		if (sigsetjmp(away, 1) != 0)
			inside = 0;
		for (unsigned i = 0; i < 1000000 && jumps < 2000; i++) {
			inside = 1;
			mapped_new(page(1), PAGE);
			mapped_gone(page(1), PAGE, mapped_ticket());
			inside = 0;
		}
	}
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	mapped_gone(page(0), 100 * PAGE, mapped_ticket());
	assert_false(is_next_there(mapped.state));
	assert_int_equal(mapped.state->head, mapped.state->tail);
	assert_int_equal(seen(0, 100), 0);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 0);
	assert_in_use(0, 0);
}

/* --- what no door saw ------------------------------------------------------------------------ */

static uint64_t value_of(frame_t frame, enum mapped_value which)
{
	for (uint32_t row = 1; row < sites_end(&mapped_table.sites); row++) {
		uint64_t value[SITES_VALUES];
		struct site_key key;
		frame_t leaf[2];

		if (sites_read(&mapped_table.sites, row, &key, value) &&
		    generations_frames(&mapped_table, key.stack, leaf, 2) == 1 && leaf[0] == frame)
			return value[which];
	}
	return 0;
}

static uint64_t used(frame_t frame)
{
	return value_of(frame, MAPPED_ALLOC_BYTES) - value_of(frame, MAPPED_FREE_BYTES);
}

static void what_no_door_saw_is_counted_as_it_is(void **state)
{
	const size_t big = 64 << 20;
	uint64_t was, allocated;
	char *p;

	(void)state;
	mapped_new(page(0), 7 * PAGE);          /* which is not there */
	mapped_compare();
	assert_int_equal(seen(0, 7), 0);
	assert_true(used(FRAME_MAPPED_STACK) >= 2 * PAGE);
	assert_true(used(FRAME_MAPPED_OURS) >= BUDGET / 2);
	assert_int_equal(used(FRAME_MAPPED_OURS), os_mapped_bytes());
	was = used(FRAME_MAPPED_OTHER);
	p = mmap(NULL, big, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapped_compare();
	assert_int_equal(used(FRAME_MAPPED_OTHER) - was, big);
	/* Half of it is told, half of the rest goes. */
	mapped_new((uintptr_t)p, big / 2);
	munmap(p + big / 4 * 3, big / 4);
	allocated = value_of(FRAME_MAPPED_OTHER, MAPPED_ALLOC_BYTES);
	mapped_compare();
	assert_int_equal(used(FRAME_MAPPED_OTHER) - was, big / 4);
	assert_int_equal(mapped_seen((uintptr_t)p, (uintptr_t)p + big), big / 2);
	assert_int_equal(value_of(FRAME_MAPPED_OTHER, MAPPED_ALLOC_BYTES), allocated);
	mapped_gone((uintptr_t)p, big / 2, mapped_ticket());
	munmap(p, big / 4 * 3);
	mapped_compare();
	assert_int_equal(used(FRAME_MAPPED_OTHER), was);
}

static int init(void **state)
{
	(void)state;
	threads_init(64);
	if (modules_scan(true) < 0 || mapped_init(BUDGET) < 0)
		return 1;
	threads_enter(NULL);
	return self.slot == NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end_exactly)
	const struct CMUnitTest tests[] = {
		TEST(every_call_counts),
		TEST(what_is_mapped_over_is_gone),
		TEST(a_late_word_takes_nothing_of_who_came_after),
		TEST(while_the_table_is_busy_nobody_waits_and_nothing_is_lost),
		TEST(a_full_queue_loses_and_counts),
		TEST(one_works_off_a_bounded_number),
		TEST(without_room_it_is_allocated_but_not_in_use),
		TEST(errno_and_signal_mask_stay),
		TEST(a_sealed_process_makes_no_call),
		TEST(a_child_begins_with_nothing),
		TEST(threads_unmap_what_others_have_mapped),
		TEST(a_handler_that_jumps_away_holds_up_nobody),
		cmocka_unit_test_setup_teardown(what_no_door_saw_is_counted_as_it_is, begin, end),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
