#include "sampler/cpu_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <pthread.h>
#include <signal.h>

#include "fake/paper_timers.h"
#include "sampler/asks.h"
#include "sampler/count.h"
#include "sampler/cpu_ctl.h"
#include "sampler/cpu_timers.h"
#include "sampler/os.h"
#include "sampler/self.h"
#include "sampler/status.h"

#define HZ      100
#define PROF    (UINT64_C(1) << (SIGPROF - 1))
#define THREADS 12
#define MANY    40

/* What /proc would say: of any other thread, and of the user. */
static struct {
	char     state;
	uint64_t blocked, pending, queued;
	int      only;                  /* blocked and pending hold for this thread, 0: for all */
	unsigned reads;
} proc;

bool status_read(int tid, struct status *s)
{
	proc.reads += tid != 0 && tid != os_getpid();   /* is the first thread a zombie? */
	*s = (struct status){ proc.state, proc.pending, proc.blocked, proc.queued, paper.limit };
	if (proc.only != 0 && tid != proc.only)
		s->pending = s->blocked = 0;
	return true;
}

/* --- other threads, which sleep in a read ------------------------------------------------------ */

static struct { pthread_t thread; int tid; } sleeper[MANY];
static unsigned sleepers;
static int wake[2], born[2];

static void *sleeps(void *unused)
{
	int tid = os_gettid();
	char byte;

	self.phase = SELF_GONE;         /* it never enters */
	if (write(born[1], &tid, sizeof(tid)) == sizeof(tid))
		(void)!read(wake[0], &byte, 1);
	return unused;
}

static void make_sleepers(unsigned n)
{
	assert_int_equal(pipe(wake) | pipe(born), 0);
	for (sleepers = 0; sleepers < n; sleepers++) {
		assert_int_equal(pthread_create(&sleeper[sleepers].thread, NULL, sleeps, NULL), 0);
		assert_int_equal(read(born[0], &sleeper[sleepers].tid, sizeof(int)), sizeof(int));
	}
}

/* Also when the kernel has let go of it. */
static void end_sleepers(void)
{
	close(wake[1]);
	for (unsigned i = 0; i < sleepers; i++) {
		pthread_join(sleeper[i].thread, NULL);
		while (syscall(SYS_tgkill, getpid(), sleeper[i].tid, 0) == 0)
			usleep(1000);
	}
	sleepers = 0;
	close(wake[0]);
	close(born[0]);
	close(born[1]);
}

static int start(void **state)
{
	(void)state;
	paper_reset();
	count_reset();
	memset(&proc, 0, sizeof(proc));
	proc.state = 'R';
	cpu_ctl_set_hz(HZ);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (sleepers != 0)
		end_sleepers();
	cpu_scan();                     /* lets go of their slots */
	cpu_ctl_ignore(false);
	cpu_ctl_desk_works(false);
	cpu_ctl_set_hz(0);
	return paper_count() != 0 || cpu_timers_taken() != 0;
}

static struct thread_slot *slot_of(unsigned i)
{
	return threads_find(sleeper[i].tid);
}

static bool goes(unsigned i)
{
	struct paper_timer *t = paper_of(sleeper[i].tid);

	return t != NULL && t->period_ns != 0;
}

/* --- threads and their masks ------------------------------------------------------------------- */

static void a_thread_without_a_door_is_met_and_missed(void **state)
{
	(void)state;
	make_sleepers(2);
	cpu_scan();
	assert_non_null(slot_of(0));
	assert_int_equal(paper_count(), 0);     /* its door may still come */
	cpu_scan();
	assert_true(goes(0) && goes(1));
	cpu_scan();
	assert_int_equal(paper_count(), 2);
	end_sleepers();
	cpu_scan();
	assert_int_equal(paper_count(), 0);
	assert_int_equal(count_get(COUNT_THREAD_NO_TIMER), 0);
}

static void one_that_was_born_blocked_gets_no_tick(void **state)
{
	(void)state;
	make_sleepers(1);
	proc.blocked = PROF;
	cpu_scan();
	cpu_scan();
	assert_false(goes(0));
	proc.blocked = 0;
	cpu_scan();
	cpu_scan();
	assert_true(goes(0));
}

static void held_by_a_door(unsigned i)
{
	slot_of(i)->held = CPU_HOLD_MASK;
	assert_true(cpu_ctl_hold_other(slot_of(i), CPU_HOLD_MASK));
	slot_of(i)->held = 0;
	assert_true(cpu_ctl_hold_other(slot_of(i), 0));
}

static void one_that_was_twice_seen_to_run_open_is_released(void **state)
{
	(void)state;
	make_sleepers(1);
	cpu_scan();
	cpu_scan();
	held_by_a_door(0);
	cpu_scan();
	assert_false(goes(0));          /* it may have been in the door */
	slot_of(0)->held += 4;          /* another door */
	cpu_scan();
	assert_false(goes(0));
	proc.state = 'S';               /* asleep: in sigwait, perhaps */
	cpu_scan();
	cpu_scan();
	assert_false(goes(0));
	proc.state = 'R';
	proc.blocked = PROF;
	cpu_scan();
	cpu_scan();
	assert_false(goes(0));
	proc.blocked = ~PROF;
	cpu_scan();
	assert_false(goes(0));
	cpu_scan();
	assert_true(goes(0));
}

static void one_on_whom_a_tick_waits_is_held(void **state)
{
	(void)state;
	make_sleepers(1);
	cpu_scan();
	cpu_scan();
	proc.blocked = PROF;            /* for a moment: none has come since */
	cpu_scan();
	assert_true(goes(0));
	proc.blocked = 0;
	proc.pending = PROF;            /* on its way */
	cpu_scan();
	assert_true(goes(0));
	proc.blocked = PROF;
	cpu_scan();
	assert_false(goes(0));
}

/* Eight in each scan, all of them in turn. */
static void a_scan_reads_few_masks_and_in_the_end_all(void **state)
{
	(void)state;
	make_sleepers(THREADS);
	cpu_scan();
	cpu_scan();
	for (unsigned i = 0; i < THREADS; i++) {
		proc.only = sleeper[i].tid;
		proc.blocked = proc.pending = PROF;
		proc.reads = 0;
		cpu_scan();
		assert_in_range(proc.reads, 1, 8);
		cpu_scan();
		assert_false(goes(i));
		proc.blocked = proc.pending = 0;
		cpu_scan();
		cpu_scan();
		assert_true(goes(i));
	}
}

/* The same for those that are held: each is looked at, but not all in each scan. */
static void a_scan_reads_few_masks_of_those_that_are_held(void **state)
{
	(void)state;
	make_sleepers(MANY);
	cpu_scan();
	proc.blocked = PROF;
	cpu_scan();                     /* held before their first tick */
	assert_int_equal(paper_going(), 0);
	proc.blocked = 0;
	for (int scans = 0; scans < 6; scans++) {
		proc.reads = 0;
		cpu_scan();
		assert_in_range(proc.reads, 1, scans < 2 ? 32 : 32 + 8);    /* those that go, too */
	}
	assert_int_equal(paper_going(), MANY);
}

static struct thread_slot *recycled;
static int new_owner;

static void recycle(void)
{
	cpu_ctl_leave(recycled);
	threads_release(recycled);
	assert_ptr_equal(threads_claim(), recycled);
	recycled->tid = new_owner;
}

/* The thread ends by its door, and another has its slot before we know that the first has gone. */
static void a_slot_that_is_anothers_by_now_is_not_released(void **state)
{
	(void)state;
	make_sleepers(1);
	recycled = threads_claim();
	recycled->tid = 1000000000;     /* beyond any pid_max */
	new_owner = sleeper[0].tid;
	paper.before_tgkill = recycle;
	cpu_scan();
	assert_null(paper.before_tgkill);
	assert_ptr_equal(slot_of(0), recycled);
	assert_false(recycled->scanned);
}

/* A thread left without a door, and its tid is another's before a scan has seen that. */
static void of_two_slots_with_one_tid_the_older_one_is_released(void **state)
{
	struct thread_slot *old = threads_claim(), *new = threads_claim();

	(void)state;
	make_sleepers(1);
	new->born_ns = old->born_ns + 1;
	threads_set_tid(new, sleeper[0].tid);
	threads_set_tid(old, sleeper[0].tid);
	cpu_scan();
	assert_int_equal(old->tid, 0);
	assert_ptr_equal(slot_of(0), new);
	assert_int_equal(new->tid, sleeper[0].tid);
	/* It was the only one to be released. */
	assert_ptr_equal(threads_claim(), old);
	threads_release(old);
}

/* After its pthread_exit the kernel goes on to list it. */
static void a_first_thread_that_has_ended_has_no_slot(void **state)
{
	struct thread_slot *slot = threads_claim();

	(void)state;
	threads_set_tid(slot, os_getpid());
	cpu_scan();
	assert_int_equal(slot->tid, os_getpid());
	proc.state = 'Z';
	cpu_scan();
	assert_int_equal(slot->tid, 0);
	assert_null(threads_find(os_getpid()));
}

/* --- one for all ------------------------------------------------------------------------------- */

/* So that THREADS of ours are over the budget: a quarter of 40. */
static void make_too_many(void)
{
	make_sleepers(THREADS);
	paper.limit = 40;
	cpu_ctl_set_hz(HZ);
	cpu_scan();
	cpu_scan();
}

static void over_the_budget_there_is_one_for_all(void **state)
{
	(void)state;
	make_too_many();
	assert_true(cpu_ctl_is_one_for_all());
	assert_int_equal(paper_count(), 1);
	assert_int_equal(paper_of(0)->period_ns, 1000000000 / HZ);
	assert_int_equal(count_get(COUNT_CPU_ONE_TIMER), 1);
	cpu_scan();
	assert_int_equal(count_get(COUNT_CPU_ONE_TIMER), 1);
	/* It is left when there is room for a third more. */
	paper.limit = 4 * THREADS;
	cpu_scan();
	assert_true(cpu_ctl_is_one_for_all());
	paper.limit = 4 * (THREADS / 3 * 4 + 4);
	cpu_scan();
	assert_false(cpu_ctl_is_one_for_all());
	assert_int_equal(paper_going(), THREADS);
	cpu_scan();
	assert_int_equal(paper_going(), THREADS);
}

static void when_others_need_more_ours_are_given_back(void **state)
{
	(void)state;
	make_sleepers(THREADS);
	paper.limit = 4 * THREADS;
	cpu_ctl_set_hz(HZ);
	cpu_scan();
	cpu_scan();
	assert_int_equal(paper_going(), THREADS);
	proc.queued = THREADS + 8;      /* ours, and eight of another process */
	cpu_scan();
	assert_int_equal(paper_count(), 1);
	assert_true(cpu_ctl_is_one_for_all());
}

/* The kernel says no although there should be room: one with another idea of the limit. */
static void what_the_kernel_refuses_is_a_lack_too(void **state)
{
	(void)state;
	paper.room = THREADS / 2;
	make_sleepers(THREADS);
	cpu_scan();
	cpu_scan();
	assert_true(cpu_ctl_is_one_for_all());
	assert_int_equal(paper_count(), 1);
}

static void room_that_was_missing_for_a_moment_is_used(void **state)
{
	(void)state;
	make_sleepers(THREADS);
	cpu_scan();
	paper.room = THREADS / 2;
	cpu_ctl_set_hz(HZ);
	paper.room = PAPER_TIMERS;
	cpu_scan_rest(true);
	assert_false(cpu_ctl_is_one_for_all());
	assert_int_equal(paper_going(), THREADS);
}

/* On Linux before 6.4 the main thread would get all ticks, in the midst of its sleep. */
static void an_older_kernel_goes_without(void **state)
{
	static const char *const older[] = { "6.3.13", "5.10.0-28-amd64", "4.4.0", "", "x" };

	(void)state;
	make_sleepers(THREADS);
	cpu_scan();
	for (size_t i = 0; i < COUNT_OF(older); i++) {
		paper.release = older[i];
		paper.limit = 40;
		cpu_ctl_set_hz(HZ);
		cpu_scan();
		assert_false(cpu_ctl_is_one_for_all());
		assert_int_equal(paper_going(), 10);
		assert_int_equal(count_get(COUNT_THREAD_NO_TIMER), THREADS - 10);
		proc.queued = 10 + 20;
		cpu_scan();
		assert_int_equal(paper_going(), 5);
		assert_int_equal(count_get(COUNT_THREAD_NO_TIMER), THREADS - 5);
		proc.queued = 0;
		paper.limit = RLIM_INFINITY;
		cpu_scan();
		assert_int_equal(paper_going(), THREADS);
		cpu_ctl_set_hz(0);
		count_reset();
	}
	paper.release = "10.0";
	paper.limit = 40;
	cpu_ctl_set_hz(HZ);
	cpu_scan();
	assert_true(cpu_ctl_is_one_for_all());
}

static void before_it_waits_our_thread_helps_and_then_lets_them_tick(void **state)
{
	(void)state;
	make_sleepers(THREADS);
	cpu_scan();
	paper.limit = 40;
	cpu_ctl_set_hz(HZ);             /* some are without from here on */
	assert_false(cpu_ctl_is_one_for_all());
	cpu_scan_rest(false);
	cpu_scan_rest(true);
	assert_true(cpu_ctl_is_one_for_all());
	assert_int_not_equal(paper_of(0)->period_ns, 0);
	cpu_scan_rest(false);
	assert_int_equal(paper_of(0)->period_ns, 0);
	cpu_scan_rest(true);
	assert_int_not_equal(paper_of(0)->period_ns, 0);
}

/* A request that asked this thread was cut off. */
static void questions_that_nobody_waits_for_are_given_up(void **state)
{
	(void)state;
	make_sleepers(1);
	cpu_scan();
	cpu_scan();
	assert_int_equal(paper_count(), 1);
	asks_ask(sleeper[0].tid);
	assert_int_equal(paper_count(), 2);
	usleep(220000);
	cpu_scan();
	assert_int_equal(paper_count(), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_thread_without_a_door_is_met_and_missed),
		TEST(one_that_was_born_blocked_gets_no_tick),
		TEST(one_that_was_twice_seen_to_run_open_is_released),
		TEST(one_on_whom_a_tick_waits_is_held),
		TEST(a_scan_reads_few_masks_and_in_the_end_all),
		TEST(a_scan_reads_few_masks_of_those_that_are_held),
		TEST(a_slot_that_is_anothers_by_now_is_not_released),
		TEST(of_two_slots_with_one_tid_the_older_one_is_released),
		TEST(a_first_thread_that_has_ended_has_no_slot),
		TEST(over_the_budget_there_is_one_for_all),
		TEST(when_others_need_more_ours_are_given_back),
		TEST(what_the_kernel_refuses_is_a_lack_too),
		TEST(room_that_was_missing_for_a_moment_is_used),
		TEST(an_older_kernel_goes_without),
		TEST(questions_that_nobody_waits_for_are_given_up),
		TEST(before_it_waits_our_thread_helps_and_then_lets_them_tick),
	};

#ifdef __SANITIZE_THREAD__
	printf("skipped: the sanitizer has a thread of its own, which would be met, too\n");
	return 0;
#endif
	self.phase = SELF_DESK;
	threads_init(16);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
