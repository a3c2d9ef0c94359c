/* Questions to threads on paper, whose timers exist on paper; the calling thread answers its own.
 */
#include "sampler/asks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake/paper_threads.h"
#include "sampler/cpu.h"
#include "sampler/modules_scan.h"
#include "sampler/status.h"

#define FRAMES 64

static uint64_t blocked;                /* what status says of each thread */

bool status_read(int tid, struct status *s)
{
	(void)tid;
	*s = (struct status){ .state = 'R', .blocked = blocked };
	return true;
}

/* The timer of a question to this thread; NULL: there is none. */
static struct paper_timer *question(int tid)
{
	for (unsigned i = 0; i < PAPER_TIMERS; i++)
		if (paper.timer[i].there && paper.timer[i].tid == tid &&
		    paper.timer[i].value != cpu_cookie())
			return &paper.timer[i];
	return NULL;
}

static int before(void **state)
{
	blocked = 0;
	return start(state);
}

static int after(void **state)
{
	asks_give_up(0, UINT64_MAX);
	return end(state);
}

static bool take(int tid, struct asks_answer *answer, uintptr_t *pc, unsigned max)
{
	return asks_take(tid, 0, answer, pc, max);
}

/* What the kernel does when it expires; on the calling thread, whoever it is for. */
static __attribute__((noinline)) void expire(const struct paper_timer *t)
{
	siginfo_t info = { .si_signo = SIGPROF };
	ucontext_t uc;

	memset(&uc, 0, sizeof(uc));
	getcontext(&uc);
	uc.uc_stack.ss_flags = SS_DISABLE;
	info.si_value.sival_ptr = t->value;
	assert_true(asks_is(&info));
	asks_answer(&info, &uc);
}

static void a_question_is_one_timer_that_expires_once_and_at_once(void **state)
{
	struct paper_timer own = *paper_of(OTHER_TID(0));

	(void)state;
	asks_ask(OTHER_TID(0));
	asks_ask(OTHER_TID(0));
	assert_int_equal(paper_count(), 1 + OTHERS + 1);
	assert_non_null(question(OTHER_TID(0)));
	assert_int_equal(question(OTHER_TID(0))->first_ns, 1);
	assert_int_equal(question(OTHER_TID(0))->period_ns, 0);
	assert_int_equal(question(OTHER_TID(0))->sets, 1);
	/* The sampler's has not been touched. */
	assert_memory_equal(paper_of(OTHER_TID(0)), &own, sizeof(own));
}

static void an_answer_is_given_out_once(void **state)
{
	uintptr_t pc[FRAMES];
	struct asks_answer answer;
	uint64_t begin = os_monotonic_ns();

	(void)state;
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
	asks_ask(os_gettid());
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
	expire(question(os_gettid()));
	assert_true(take(os_gettid(), &answer, pc, FRAMES));
	assert_null(question(os_gettid()));
	assert_in_range(answer.depth, 3, FRAMES);
	assert_in_range(answer.at_ns, begin, os_monotonic_ns());
	assert_in_range(pc[0], (uintptr_t)expire, (uintptr_t)expire + 1000);
	assert_false(answer.truncated);
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
}

static void a_long_answer_is_cut(void **state)
{
	uintptr_t pc[3] = { 0, 0, 0x1234 };
	struct asks_answer answer;

	(void)state;
	asks_ask(os_gettid());
	expire(question(os_gettid()));
	assert_true(take(os_gettid(), &answer, pc, 2));
	assert_int_equal(answer.depth, 2);
	assert_true(answer.truncated);
	assert_int_equal(pc[2], 0x1234);
}

static void an_old_answer_is_thrown_away(void **state)
{
	uintptr_t pc[FRAMES];
	struct asks_answer answer;

	(void)state;
	asks_ask(os_gettid());
	expire(question(os_gettid()));
	assert_false(asks_take(os_gettid(), UINT64_MAX, &answer, pc, FRAMES));
	assert_null(question(os_gettid()));
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
	asks_ask(os_gettid());
	assert_non_null(question(os_gettid()));
}

/* The signal was on its way when its question was given up, and another asked in its place. */
static void a_late_signal_answers_nothing(void **state)
{
	struct paper_timer late;
	struct asks_answer answer;
	uintptr_t pc[FRAMES];

	(void)state;
	asks_ask(os_gettid());
	late = *question(os_gettid());
	asks_give_up(os_gettid(), UINT64_MAX);
	assert_null(question(os_gettid()));
	expire(&late);
	asks_ask(OTHER_TID(1));
	assert_ptr_equal(question(OTHER_TID(1))->value, late.value);
	expire(&late);
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
	assert_false(take(OTHER_TID(1), &answer, pc, FRAMES));
}

static sigjmp_buf out;

static void jump_out(int sig)
{
	(void)sig;
	siglongjmp(out, 1);
}

/* As a handler of the host's may, that comes in between. */
static void leave_an_answer(const struct paper_timer *t)
{
	siginfo_t info = { .si_signo = SIGPROF };
	struct sigaction act = { .sa_handler = jump_out, .sa_flags = SA_NODEFER }, before;

	info.si_value.sival_ptr = t->value;
	sigaction(SIGSEGV, &act, &before);
	if (sigsetjmp(out, 1) == 0)
		asks_answer(&info, (const ucontext_t *)8);
	sigaction(SIGSEGV, &before, NULL);
}

static void use_cpu(uint64_t ns)
{
	uint64_t end = os_thread_cpu_ns(0) + ns;

	while (os_thread_cpu_ns(0) < end)
		;
}

/* It is not waited for for ever, its place is not lost; but who is only slow is not disturbed. */
static void an_answer_that_was_left_is_asked_for_again(void **state)
{
	struct asks_answer answer;
	struct paper_timer first;
	uintptr_t pc[FRAMES];

	(void)state;
	asks_ask(os_gettid());
	first = *question(os_gettid());
	leave_an_answer(&first);
	asks_ask(os_gettid());
	assert_int_equal(question(os_gettid())->sets, 1);
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
	use_cpu(150000000);
	asks_ask(os_gettid());
	assert_non_null(question(os_gettid()));
	expire(question(os_gettid()));
	assert_true(take(os_gettid(), &answer, pc, FRAMES));
	asks_ask(os_gettid());
	leave_an_answer(question(os_gettid()));
	use_cpu(150000000);
	asks_give_up(0, UINT64_MAX);
	assert_null(question(os_gettid()));
}

/* Who asked was cut off. */
static void what_nobody_waits_for_is_given_up(void **state)
{
	struct timespec while_ = { 0, 220000000 };

	(void)state;
	asks_ask(OTHER_TID(0));
	nanosleep(&while_, NULL);
	asks_give_up_stale();
	assert_null(question(OTHER_TID(0)));
}

static void only_old_questions_are_given_up(void **state)
{
	uint64_t now = os_monotonic_ns();

	(void)state;
	asks_ask(OTHER_TID(0));
	asks_give_up(0, now);
	assert_non_null(question(OTHER_TID(0)));
	asks_give_up(OTHER_TID(1), UINT64_MAX);
	assert_non_null(question(OTHER_TID(0)));
	asks_give_up(0, UINT64_MAX);
	assert_null(question(OTHER_TID(0)));
}

static void who_must_get_no_signal_is_not_asked(void **state)
{
	(void)state;
	cpu_ctl_hold(CPU_HOLD_MASK);
	asks_ask(os_gettid());
	assert_null(question(os_gettid()));
	cpu_ctl_release(CPU_HOLD_MASK);
	cpu_ctl_hold(CPU_HOLD_STACK);
	asks_ask(os_gettid());
	assert_null(question(os_gettid()));
	cpu_ctl_release(CPU_HOLD_STACK);
	cpu_ctl_ignore(true);
	asks_ask(os_gettid());
	assert_null(question(os_gettid()));
	cpu_ctl_ignore(false);
	blocked = UINT64_C(1) << (SIGPROF - 1);         /* and no door has seen it */
	asks_ask(os_gettid());
	assert_null(question(os_gettid()));
	blocked = 0;
	asks_ask(os_gettid());
	assert_non_null(question(os_gettid()));
	asks_ask(OTHER_TID(0) - 1);                     /* no thread of ours */
	assert_null(question(OTHER_TID(0) - 1));
}

static void a_hold_takes_the_question_back(void **state)
{
	(void)state;
	asks_ask(os_gettid());
	assert_non_null(question(os_gettid()));
	cpu_ctl_hold(CPU_HOLD_MASK);
	assert_null(question(os_gettid()));
	asks_ask(os_gettid());
	assert_null(question(os_gettid()));
	cpu_ctl_release(CPU_HOLD_MASK);
	asks_ask(os_gettid());          /* its first one would never be answered */
	assert_non_null(question(os_gettid()));
}

static void hold_meanwhile(void)
{
	cpu_ctl_hold_other(other[0], other[0]->held);
}

static void leave_meanwhile(void)
{
	cpu_ctl_leave(other[0]);
}

static void a_hold_or_an_end_while_we_ask_leaves_no_timer(void **state)
{
	(void)state;
	paper.meanwhile = hold_meanwhile;
	asks_ask(OTHER_TID(0));
	assert_null(paper.meanwhile);
	assert_null(question(OTHER_TID(0)));
	cpu_ctl_release_other(other[0], other[0]->held);
	paper.meanwhile = leave_meanwhile;
	asks_ask(OTHER_TID(0));
	assert_null(paper.meanwhile);
	assert_null(paper_of(OTHER_TID(0)));
	asks_ask(OTHER_TID(1));
	cpu_ctl_leave(other[1]);
	assert_null(paper_of(OTHER_TID(1)));
	other[0]->tid = OTHER_TID(0);
	other[1]->tid = OTHER_TID(1);
}

static void the_samplers_timers_come_first(void **state)
{
	(void)state;
	paper.limit = 4 * (1 + OTHERS + 1);
	cpu_timers_read();
	asks_ask(OTHER_TID(0));
	assert_null(question(OTHER_TID(0)));
	paper.limit = 4 * (1 + OTHERS + 2);
	cpu_timers_read();
	asks_ask(OTHER_TID(0));
	assert_non_null(question(OTHER_TID(0)));
	asks_ask(OTHER_TID(1));
	assert_null(question(OTHER_TID(1)));
	paper.limit = RLIM_INFINITY;
	cpu_timers_read();
	paper.room = 0;                 /* and the kernel may refuse */
	asks_ask(OTHER_TID(1));
	assert_null(question(OTHER_TID(1)));
	paper.room = PAPER_TIMERS;
	asks_ask(OTHER_TID(1));
	assert_non_null(question(OTHER_TID(1)));
}

static void a_fork_child_has_asked_nobody(void **state)
{
	struct asks_answer answer;
	uintptr_t pc[FRAMES];

	(void)state;
	asks_ask(os_gettid());
	expire(question(os_gettid()));
	asks_after_fork();
	assert_non_null(question(os_gettid()));         /* not ours to delete */
	assert_int_equal(self.slot->asked, 0);
	assert_false(take(os_gettid(), &answer, pc, FRAMES));
	question(os_gettid())->there = false;
	cpu_timers_after_fork();
	for (unsigned i = 0; i < 1 + OTHERS; i++)
		cpu_timers_adopt();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, before, after)
	const struct CMUnitTest tests[] = {
		TEST(a_question_is_one_timer_that_expires_once_and_at_once),
		TEST(an_answer_is_given_out_once),
		TEST(a_long_answer_is_cut),
		TEST(an_old_answer_is_thrown_away),
		TEST(a_late_signal_answers_nothing),
		TEST(an_answer_that_was_left_is_asked_for_again),
		TEST(what_nobody_waits_for_is_given_up),
		TEST(only_old_questions_are_given_up),
		TEST(who_must_get_no_signal_is_not_asked),
		TEST(a_hold_takes_the_question_back),
		TEST(a_hold_or_an_end_while_we_ask_leaves_no_timer),
		TEST(the_samplers_timers_come_first),
		TEST(a_fork_child_has_asked_nobody),
	};

	threads_init(FRAMES);
	if (modules_scan(true) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
