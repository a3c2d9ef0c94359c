/* What doors tell of mapped memory, in every order in which it can come. */
#include "sampler/mapped.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/crowd.h"
#include "sampler/modules_scan.h"
#include "sampler/random.h"
#include "sampler/sys.h"

#define PAGE   4096u
#define BASE   UINT64_C(0x400000000000) /* where nobody maps anything */
#define BUDGET (4u << 20)       /* more ranges than the queue has events */

static struct { uint64_t value[SITES_VALUES], dropped[COUNT_REASONS]; } before;

static void sum_up(uint64_t sum[SITES_VALUES])
{
	memset(sum, 0, SITES_VALUES * sizeof(sum[0]));
	for (uint32_t row = 1; row < sites_end(&mapped_table.sites); row++) {
		uint64_t value[SITES_VALUES];
		struct site_key key;

		if (!sites_read(&mapped_table.sites, row, &key, value))
			continue;
		for (unsigned i = 0; i < SITES_VALUES; i++)
			sum[i] += value[i];
	}
}

static uint64_t grown(enum mapped_value which)
{
	uint64_t sum[SITES_VALUES];

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

static void work_all(void)
{
	while (!mapped_queue_is_empty(mapped.state->queue))
		work(mapped.state, true);
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
	struct hold hold;

	(void)state;
	assert_true(try_begin(s, &hold, false));
	for (unsigned i = 0; i < 100; i++) {
		mapped_new(page(i), PAGE);
		if (i % 2 == 0)
			mapped_gone(page(i), PAGE, mapped_ticket());
	}
	assert_int_equal(s->ranges.live, 0);
	assert_int_equal(mapped_seen(0, UINTPTR_MAX), -EBUSY);
	/* Who cannot look must think that it might be. */
	assert_true(mapped_knows(page(0), PAGE));
	assert_int_equal(grown(MAPPED_NOTED_OBJECTS), 100);
	assert_in_use(0, 0);
	hold_end(&s->lock, &hold);
	for (unsigned i = 0; i < 10; i++)
		mapped_gone(page(1000), PAGE, mapped_ticket());
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS), 100);
	assert_in_use(50, 50);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 0);
}

static void a_full_queue_loses_and_counts(void **state)
{
	struct state *s = mapped.state;
	struct hold hold;

	(void)state;
	mapped_new(page(0), PAGE);
	assert_true(try_begin(s, &hold, false));
	for (unsigned i = 1; i <= MAPPED_QUEUE_EVENTS + 10; i++)
		mapped_new(page(i), PAGE);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 10);
	assert_int_equal(grown(MAPPED_LOST_OBJECTS), 10);
	assert_int_equal(grown(MAPPED_LOST_BYTES), 10 * PAGE);
	mapped_gone(page(0), PAGE, mapped_ticket());
	assert_int_equal(dropped(COUNT_MMAP_LOST), 11);
	hold_end(&s->lock, &hold);
	work_all();
	assert_int_equal(grown(MAPPED_ALLOC_OBJECTS), MAPPED_QUEUE_EVENTS + 1);
	assert_in_use(MAPPED_QUEUE_EVENTS + 1, MAPPED_QUEUE_EVENTS + 1);
	/* Round and round. */
	for (unsigned i = 0; i < 3 * MAPPED_QUEUE_EVENTS; i++)
		mapped_gone(page(i + 1), PAGE, mapped_ticket());
	assert_in_use(1, 1);
}

/* Who has it sleeps for long, and has left it without anybody having seen that in time. */
static void a_full_queue_comes_back_too(void **state)
{
	struct state *s = mapped.state;
	struct hold *hold = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int tid = self.tid;

	(void)state;
	do                                      /* the last one not at a round number */
		mapped_new(page(0), PAGE);
	while ((s->queue->tail + MAPPED_QUEUE_EVENTS) % EVENTS_LOOKS != 1);
	self.tid = 1;                           /* who is there */
	assert_true(try_begin(s, hold, false));
	self.tid = tid;
	for (unsigned i = 1; i <= MAPPED_QUEUE_EVENTS; i++)
		mapped_new(page(i), PAGE);
	hold->mark = 0;
	for (unsigned i = 0; i < 1000; i++)
		mapped_gone(page(0), PAGE, mapped_ticket());
	assert_true(hold_is_free(&s->lock));
	assert_in_range(dropped(COUNT_MMAP_LOST), 1, 2 * EVENTS_LOOKS);
	work_all();
	assert_in_use(MAPPED_QUEUE_EVENTS, MAPPED_QUEUE_EVENTS);
	munmap(hold, PAGE);
}

/* With the event done with, and nothing else: what is live is seen by who unmaps it next. */
static void what_was_mended_is_seen(void **state)
{
	struct state *s = mapped.state;
	struct hold hold;

	(void)state;
	for (unsigned at = 0; at < 2; at++) {
		assert_true(try_begin(s, &hold, false));
		mapped_new(page(0), PAGE);
		(void)work_off(s, 1);
		hold.mark = 0;                  /* left here */
		assert_false(is_empty(s));
		if (at == 1)
			(void)mapped_knows(page(0), PAGE);
		assert_false(is_empty(s));
		mapped_gone(page(0), PAGE, mapped_ticket());
		work(s, false);
		work_all();
		assert_in_use(0, 0);
	}
}

/* Its counts are as before for a moment, and may be made so once more. */
static void a_row_lives_while_its_change_is_made(void **state)
{
	struct mapped_change *c = &mapped.state->ranges.change;
	struct site_row *r = &mapped_table.sites.row[c->row];

	(void)state;
	mapped_new(page(0), PAGE);
	r = &mapped_table.sites.row[c->row];
	assert_true(lives(r));
	mapped_gone(page(0), PAGE, mapped_ticket());
	assert_false(lives(r));
	c->decided = true;
	assert_true(lives(r));
	assert_false(lives(r + 1));
	c->decided = false;
	assert_false(lives(r));
}

/* By who put it, who was left, or waits. */
static void what_was_put_but_not_said_is_there(void **state)
{
	struct mapped_queue *q = mapped.state->queue;
	uint64_t ticket;
	struct hold hold;

	(void)state;
	assert_true(try_begin(mapped.state, &hold, false));
	mapped_new(page(0), PAGE);
	hold_end(&mapped.state->lock, &hold);
	ticket = q->tail--;
	assert_false(mapped_queue_is_empty(q));
	assert_int_equal(mapped_queue_ticket(q), ticket);
	mapped_gone(page(0), PAGE, mapped_ticket());
	assert_in_use(0, 0);
	assert_int_equal(q->tail--, ticket + 1);
	assert_true(mapped_queue_is_empty(q));          /* also if it was worked off meanwhile */
	assert_int_equal(mapped_queue_ticket(q), ticket + 1);
}

static void one_works_off_a_bounded_number(void **state)
{
	struct state *s = mapped.state;
	struct hold hold;

	(void)state;
	assert_true(try_begin(s, &hold, false));
	for (unsigned i = 0; i < 5 * EVENTS_AT_ONCE; i++)
		mapped_new(page(i), PAGE);
	hold_end(&s->lock, &hold);
	mapped_new(page(5000), PAGE);
	assert_int_equal(s->ranges.live, EVENTS_AT_ONCE);
	work_all();
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

static void errno_stays(void **state)
{
	(void)state;
	errno = 77;
	mapped_new(page(0), PAGE);
	assert_true(mapped_knows(page(0), PAGE));
	assert_false(mapped_knows(page(1), PAGE));
	mapped_gone(page(0), PAGE, mapped_ticket());
	assert_int_equal(errno, 77);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##what)

/* From now on the process may ask who it is, and end.  os_readable is a rt_sigprocmask of none of
 * the three ways there are. */
static bool allow_little(void)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		SKIP_UNLESS(SYS_gettid, 1), RETURN(ALLOW),
		SKIP_UNLESS(SYS_exit_group, 1), RETURN(ALLOW),
		SKIP_UNLESS(SYS_rt_sigprocmask, 3),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SIG_SETMASK, 0, 1), RETURN(ALLOW),
		RETURN(KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Only who it is, for the sake of vfork children: nothing that costs more, no signal mask. */
static void a_call_is_not_dear(void **state)
{
	int status;
	pid_t child;

	(void)state;
	mapped_new(page(0), PAGE);              /* what is done once is done */
	child = fork();
	if (child == 0) {
		threads_after_fork();
		mapped_after_fork();
		mapped_new(page(0), 4 * PAGE);
		if (!allow_little())
			_exit(2);
		mapped_new(page(8), 4 * PAGE);
		mapped_gone(page(9), 2 * PAGE, mapped_ticket());
		/* By the raw call: a sanitizer has more to do in _exit. */
		sys_call1(SYS_exit_group,
			  mapped.state->ranges.live == 3 && mapped_knows(page(8), PAGE) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	mapped_gone(page(0), PAGE, mapped_ticket());
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
	struct hold hold;
	int status;
	pid_t child;

	(void)state;
	mapped_new(page(0), 8 * PAGE);
	/* Also while another thread is at it. */
	assert_true(try_begin(mapped.state, &hold, false));
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
	hold_end(&mapped.state->lock, &hold);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_in_use(1, 8);
}

static void do_nothing(void) {}

static bool is_untouched(void)
{
	struct state *s = mapped.mine;
	uint64_t taken = s->lock.word[1];

	mapped_new(page(0), PAGE);
	mapped_gone(page(0), PAGE, 1);
	return s->queue->tail == 0 && s->lock.word[1] == taken;
}

/* A thread that libc has made in a child (SIGEV_THREAD), while its main thread has not settled, and
 * while it does: what such a one wrote would be cleared under its hands. */
static void what_an_unsettled_child_maps_is_not_recorded(void **state)
{
	int status;
	pid_t child;

	(void)state;
	mapped_new(page(0), 8 * PAGE);
	child = fork();
	if (child == 0) {
		struct self main_thread = self;
		bool unseen, unsettled, settling;

		memset(&self, 0, sizeof(self));
		unseen = is_untouched() && self.phase == SELF_NEW;
		self = main_thread;
		self.phase = SELF_CHILD;
		threads_when_settling(do_nothing);
		unsettled = is_untouched();
		self.phase = SELF_READY;
		mapped_before_settling();
		settling = is_untouched();
		_exit(!unseen + 2 * !unsettled + 4 * !settling);
	}
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

	for (unsigned turn = 0; turn < 1024 || turn % 64 != 0 || crowd_now_s() < end_s; turn++) {
		unsigned owner = (unsigned)((who + (random_next(&random) >> 63)) % THREADS);
		unsigned slot = (unsigned)(random_next(&random) >> 32) % SLOTS;
		uint64_t at = place(owner, slot);
		int was = atomic_load(&owned[owner][slot]);

		if (was == 1 || !atomic_compare_exchange_strong(&owned[owner][slot], &was, 1))
			continue;
		/* No system call in between: one that is away would soon fill it.  All may wait
		 * here, then one has to do it. */
		while (mapped_queue_waiting(mapped.state->queue) > MAPPED_QUEUE_EVENTS / 2) {
			work(mapped.state, false);
			sched_yield();
		}
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
	work_all();
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < SLOTS; k++)
			left += owned[i][k] == 2;
	assert_true(grown(MAPPED_ALLOC_OBJECTS) > 1000);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 0);
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

/* Wherever it was, it goes on: none of the 2000 leaves the table or the queue to nobody, and what
 * is counted is what is there. */
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
	work_all();
	assert_int_equal(seen(0, 100), 0);
	assert_int_equal(dropped(COUNT_MMAP_LOST), 0);
	assert_in_use(0, 0);
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
		TEST(a_full_queue_comes_back_too),
		TEST(what_was_mended_is_seen),
		TEST(a_row_lives_while_its_change_is_made),
		TEST(what_was_put_but_not_said_is_there),
		TEST(one_works_off_a_bounded_number),
		TEST(without_room_it_is_allocated_but_not_in_use),
		TEST(errno_stays),
		TEST(a_call_is_not_dear),
		TEST(a_sealed_process_makes_no_call),
		TEST(a_child_begins_with_nothing),
		TEST(what_an_unsettled_child_maps_is_not_recorded),
		TEST(threads_unmap_what_others_have_mapped),
		TEST(a_handler_that_jumps_away_holds_up_nobody),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
