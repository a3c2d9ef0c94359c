/* Threads that wait for real mutexes: holders are charged as long as they held, by a truth that is
 * measured beside it; and whoever leaves a wait by a jump or at its end leaves nothing behind.
 *
 * Of the truth and the profile alike both clocks are read at the same places.  What is between them
 * is a microsecond or so of each hold, and holders have 200 and more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fake/crowd.h"
#include "sampler/lock_slots.h"
#include "sampler/locks.h"
#include "sampler/modules_scan.h"
#include "sampler/os.h"
#include "sampler/random.h"
#include "sampler/self.h"
#include "sampler/thread_names.h"
#include "sampler/threads.h"

#define BUDGET  (2u << 20)
#define SECONDS 0.8

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static double end_s;

static void lock(void)
{
	struct locks_wait w;

	if (pthread_mutex_trylock(&mutex) == 0)
		return;
	locks_wait_begin(&w, &mutex);
	pthread_mutex_lock(&mutex);
	locks_wait_end(&w, LOCKS_GOT);
}

static void unlock(void)
{
	struct locks_charge c;

	if (!locks_is_awaited(&mutex)) {
		pthread_mutex_unlock(&mutex);
		return;
	}
	locks_release_begin(&c, &mutex);
	pthread_mutex_unlock(&mutex);
	locks_release_end(&c);
}

/* --- the truth ------------------------------------------------------------------------------- */

#define HOLDERS_MAX 17
#define TIMES_MAX   200000
#define HELDS_MIN   30

struct span { uint64_t from_ns, to_ns; };

/* Of each thread: its waits; and of all: who held it when. */
static struct {
	struct span wait[TIMES_MAX / HOLDERS_MAX];
	unsigned    waits;
} log_of[HOLDERS_MAX];
static struct { struct span span; unsigned who; } held[TIMES_MAX];
static _Atomic unsigned helds;
static uint64_t hold_ns[HOLDERS_MAX], between_ns[HOLDERS_MAX];

static void spin(uint64_t ns)
{
	uint64_t until = os_monotonic_ns() + ns;

	while (os_monotonic_ns() < until)
		;
}

static void hold_and_wait(unsigned who)
{
	prctl(PR_SET_NAME, who == 0 ? "long" : "short");
	threads_enter(NULL);
	while ((crowd_now_s() < end_s || helds < HELDS_MIN) &&
	       log_of[who].waits < COUNT_OF(log_of[who].wait)) {
		uint64_t from = os_monotonic_ns(), at;
		struct span *wait = &log_of[who].wait[log_of[who].waits++];
		unsigned n;

		lock();
		*wait = (struct span){ from, at = os_monotonic_ns() };
		n = helds++;
		if (hold_ns[who] > 1000000)
			(void)!os_sleep(hold_ns[who]);
		else
			spin(hold_ns[who]);
		held[n].who = who;
		held[n].span = (struct span){ at, os_monotonic_ns() };
		unlock();
		(void)!os_sleep(between_ns[who]);
	}
	threads_leave();
}

/* The part of all waits, in %, during which the long holder had it.  gaps: the time until a holder came
 * is its own, too.  It is, if it found the lock free before one who waits was awake, and nothing tells
 * when; on a busy machine that is much. */
static double true_share(unsigned threads, bool gaps)
{
	double of_long = 0, all = 0;

	for (unsigned who = 0; who < threads; who++)
		for (unsigned i = 0, h = 0; i < log_of[who].waits; i++) {
			struct span w = log_of[who].wait[i];

			while (h < helds && held[h].span.to_ns <= w.from_ns)
				h++;
			for (unsigned k = h; k < helds && held[k].span.from_ns < w.to_ns; k++) {
				struct span s = held[k].span;
				uint64_t has = gaps && k > 0 ? held[k - 1].span.to_ns : s.from_ns;
				uint64_t from = has > w.from_ns ? has : w.from_ns;
				uint64_t to = s.to_ns < w.to_ns ? s.to_ns : w.to_ns;

				if (held[k].who == who || to <= from)
					continue;
				all += (double)(to - from);
				of_long += held[k].who == 0 ? (double)(to - from) : 0;
			}
		}
	return 100 * of_long / all;
}

static double recorded_share(void)
{
	double of_long = 0, all = 0;
	uint64_t value[SITES_VALUES];
	struct site_key key;

	for (uint32_t row = 1; row < sites_end(&locks_mutex_table.sites); row++) {
		if (!sites_read(&locks_mutex_table.sites, row, &key, value))
			continue;
		all += (double)value[LOCKS_DELAY_NS];
		if (key.thread != 0 && strcmp(thread_names_get(key.thread), "long") == 0)
			of_long += (double)value[LOCKS_DELAY_NS];
	}
	return 100 * of_long / all;
}

static unsigned told_apart;     /* crowds whose shares say something */

static void compare(unsigned shorts, uint64_t long_ns, uint64_t short_ns)
{
	double want, with_gaps, got;

	locks_after_fork();     /* all counters are 0 */
	memset(log_of, 0, sizeof(log_of));
	helds = 0;
	for (unsigned i = 0; i <= shorts; i++) {
		hold_ns[i] = i == 0 ? long_ns : short_ns;
		between_ns[i] = i == 0 ? long_ns / 5 : short_ns;
	}
	end_s = crowd_now_s() + SECONDS;
	crowd_run(shorts + 1, hold_and_wait);
	want = true_share(shorts + 1, false);
	with_gaps = true_share(shorts + 1, true);
	got = recorded_share();
	print_message("%u short holders: %.1f %% the long one's, %.1f with gaps, recorded %.1f\n",
		      shorts, want, with_gaps, got);
	assert_in_range(helds, HELDS_MIN, TIMES_MAX - 1);
	/* On a busy machine who is woken for his turn has the lock for longer than he wanted. */
	told_apart += want > 20 && want < 98;
	assert_true(got > fmin(want, with_gaps) - 3 && got < fmax(want, with_gaps) + 3);
}

static void each_holder_pays_for_the_time_it_held(void **state)
{
	(void)state;
	compare(3, 5000000, 200000);
	compare(8, 5000000, 200000);
	compare(16, 20000000, 1000000);
	assert_true(told_apart > 0);
}

/* --- waits that are left --------------------------------------------------------------------- */

#define WAITERS 8

static _Thread_local sigjmp_buf away;
static _Thread_local volatile sig_atomic_t may_jump;
static _Atomic int jumps;

static void jump(int sig)
{
	(void)sig;
	if (!may_jump)
		return;
	may_jump = 0;
	siglongjmp(away, 1);
}

/* Somebody holds the mutex for ever: who waits is called away by a signal, again and again, and then
 * its thread ends in a wait. */
static void wait_in_vain(unsigned who)
{
	char here;

	threads_enter(NULL);
	self.slot->stack_hi = (uintptr_t)&here + 4096;
	self.slot->stack_lo = self.slot->stack_hi - (256u << 10);
	for (unsigned i = 0; i < 200 + who; i++) {
		struct locks_wait w;

		if (sigsetjmp(away, 1) != 0) {
			jumps++;
			continue;
		}
		locks_wait_begin(&w, &mutex);
		may_jump = 1;
		pthread_kill(pthread_self(), SIGUSR1);
		CROWD_DEMAND(false);
	}
	locks_thread_ends();
	threads_leave();
}

static void nobody_stays_in_a_wait_that_was_left(void **state)
{
	struct sigaction a = { .sa_handler = jump };
	struct lock_slots_due due;
	unsigned n = 0;

	(void)state;
	sigaction(SIGUSR1, &a, NULL);
	crowd_run(WAITERS, wait_in_vain);
	crowd_check();
	assert_int_equal(jumps, 200 * WAITERS + WAITERS * (WAITERS - 1) / 2);
	for (size_t i = 0; i < COUNT_OF(locks_filter); i++)
		n += locks_filter[i] & LOCK_CELL_WAITS;
	assert_int_equal(n, 0);
	lock_slots_charge(&mutex, 0, &due);
	assert_int_equal(due.slot, 0);
}

static int init(void **state)
{
	(void)state;
	threads_init(64);
	if (modules_scan(true) < 0 || locks_init(BUDGET) < 0)
		return 1;
	locks_set_block_rate(10000);
	locks_set_mutex_fraction(1);
	threads_enter(NULL);
	return self.slot == NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_holder_pays_for_the_time_it_held),
		cmocka_unit_test(nobody_stays_in_a_wait_that_was_left),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
