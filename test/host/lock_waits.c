/* lock_waits CASE -- each way to wait, a known number of times, behind holders that sleep: what was
 * waited for is held, or not yet there, when the wait begins. */
#include <semaphore.h>
#include <threads.h>

#include <linux/futex.h>
#include <sys/syscall.h>

#include "lock_steps.h"

/* --- locks ----------------------------------------------------------------------------------- */

pthread_mutex_t hot_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct { char before[64]; pthread_rwlock_t lock; } table = { "", PTHREAD_RWLOCK_INITIALIZER };
static pthread_spinlock_t spin;
static mtx_t c11;
static pthread_mutex_t robust;

NOINLINE void holds_mutex(void)
{
	HOLD(pthread_mutex_lock(&hot_mutex), pthread_mutex_unlock(&hot_mutex));
	__asm__ volatile("");
}

NOINLINE void waits_mutex(void)
{
	WAIT(pthread_mutex_lock(&hot_mutex));
	pthread_mutex_unlock(&hot_mutex);
	__asm__ volatile("");
}

NOINLINE void waits_mutex_timed(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 100;
	WAIT(if (pthread_mutex_timedlock(&hot_mutex, &t) != 0) abort());
	pthread_mutex_unlock(&hot_mutex);
	__asm__ volatile("");
}

NOINLINE void waits_mutex_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += 100;
	WAIT(if (pthread_mutex_clocklock(&hot_mutex, CLOCK_MONOTONIC, &t) != 0) abort());
	pthread_mutex_unlock(&hot_mutex);
	__asm__ volatile("");
}

/* Gives up: it has waited all the same. */
NOINLINE void waits_in_vain(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 2 * (long)MS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	WAIT(if (pthread_mutex_timedlock(&hot_mutex, &t) == 0) pthread_mutex_unlock(&hot_mutex));
	__asm__ volatile("");
}

NOINLINE void holds_robust(void)
{
	HOLD(pthread_mutex_lock(&robust), pthread_mutex_unlock(&robust));
	__asm__ volatile("");
}

NOINLINE void waits_robust(void)
{
	WAIT(pthread_mutex_lock(&robust));
	pthread_mutex_unlock(&robust);
	__asm__ volatile("");
}

NOINLINE void writes(void)
{
	HOLD(pthread_rwlock_wrlock(&table.lock), pthread_rwlock_unlock(&table.lock));
	__asm__ volatile("");
}

NOINLINE void waits_to_read(void)
{
	WAIT(pthread_rwlock_rdlock(&table.lock));
	pthread_rwlock_unlock(&table.lock);
	__asm__ volatile("");
}

NOINLINE void reads(void)
{
	HOLD(pthread_rwlock_rdlock(&table.lock), pthread_rwlock_unlock(&table.lock));
	__asm__ volatile("");
}

NOINLINE void waits_to_write(void)
{
	WAIT(pthread_rwlock_wrlock(&table.lock));
	pthread_rwlock_unlock(&table.lock);
	__asm__ volatile("");
}

/* Readers that come after a writer let it go first, if the lock is such a one. */
static pthread_rwlock_t polite = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

NOINLINE void reads_politely(void)
{
	HOLD(pthread_rwlock_rdlock(&polite), pthread_rwlock_unlock(&polite));
	__asm__ volatile("");
}

NOINLINE void waits_behind_writer(void)
{
	while ((polite.__data.__readers & 2) == 0)
		sched_yield();
	WAIT(pthread_rwlock_rdlock(&polite));
	pthread_rwlock_unlock(&polite);
	__asm__ volatile("");
}

NOINLINE void writes_or_reads(void)
{
	static atomic_int threads;
	static _Thread_local int number;

	if (number == 0)
		number = ++threads;
	if (number == 2) {
		waits_behind_writer();
	} else {
		pthread_rwlock_wrlock(&polite);
		pthread_rwlock_unlock(&polite);
	}
	__asm__ volatile("");
}

NOINLINE void holds_spin(void)
{
	HOLD(pthread_spin_lock(&spin), pthread_spin_unlock(&spin));
	__asm__ volatile("");
}

NOINLINE void waits_spin(void)
{
	WAIT(pthread_spin_lock(&spin));
	pthread_spin_unlock(&spin);
	__asm__ volatile("");
}

NOINLINE void holds_c11(void)
{
	HOLD(mtx_lock(&c11), mtx_unlock(&c11));
	__asm__ volatile("");
}

NOINLINE void waits_c11(void)
{
	WAIT(mtx_lock(&c11));
	mtx_unlock(&c11);
	__asm__ volatile("");
}

/* --- a mutex of three states, as Rust's and Drepper's: 0 free, 1 held, 2 held and waited for ---- */

atomic_int three_states;

static void three_lock(void)
{
	int was = 0;

	if (atomic_compare_exchange_strong(&three_states, &was, 1))
		return;
	while (atomic_exchange(&three_states, 2) != 0)
		syscall(SYS_futex, &three_states, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void three_unlock(void)
{
	if (atomic_exchange(&three_states, 0) == 2)
		syscall(SYS_futex, &three_states, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

NOINLINE void holds_three(void)
{
	HOLD(three_lock(), three_unlock());
	__asm__ volatile("");
}

NOINLINE void waits_three(void)
{
	WAIT(three_lock());
	three_unlock();
	__asm__ volatile("");
}

/* --- what nobody holds ----------------------------------------------------------------------- */

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static cnd_t c11_cond;
static atomic_int queue, taken, mail;
static atomic_int word;

/* Between two items the producer sleeps; while it puts one it has the lock for no time. */
NOINLINE void produces(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		pass(HOLD_NS);
		pthread_mutex_lock(&hot_mutex);
		queue++;
		pthread_mutex_unlock(&hot_mutex);
		pthread_cond_signal(&cond);
		while (taken <= i)
			sched_yield();
	}
}

NOINLINE void consumes(void)
{
	pthread_mutex_lock(&hot_mutex);
	while (queue == 0)
		WAIT(pthread_cond_wait(&cond, &hot_mutex));
	queue--;
	pthread_mutex_unlock(&hot_mutex);
	taken++;
	__asm__ volatile("");
}

/* The one way in which it gives the lock back is to wait. */
NOINLINE void holds_until_it_waits(void)
{
	uint64_t begin = truth_now();

	now_held();
	pass(HOLD_NS);
	truth_held(__func__, begin);
	while (mail == 0)
		pthread_cond_wait(&cond, &hot_mutex);
	mail--;
	__asm__ volatile("");
}

NOINLINE void waits_and_posts(void)
{
	WAIT(pthread_mutex_lock(&hot_mutex));
	mail++;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&hot_mutex);
	__asm__ volatile("");
}

NOINLINE void waits_cond_timed(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += (long)HOLD_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	pthread_mutex_lock(&hot_mutex);
	WAIT(pthread_cond_timedwait(&cond, &hot_mutex, &t));
	pthread_mutex_unlock(&hot_mutex);
	__asm__ volatile("");
}

NOINLINE void waits_cond_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)HOLD_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	pthread_mutex_lock(&hot_mutex);
	WAIT(pthread_cond_clockwait(&cond, &hot_mutex, CLOCK_MONOTONIC, &t));
	pthread_mutex_unlock(&hot_mutex);
	__asm__ volatile("");
}

NOINLINE void waits_cnd(void)
{
	struct timespec t;

	timespec_get(&t, TIME_UTC);
	t.tv_nsec += (long)HOLD_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	mtx_lock(&c11);
	WAIT(cnd_timedwait(&c11_cond, &c11, &t));
	mtx_unlock(&c11);
	__asm__ volatile("");
}

NOINLINE void posts(void)
{
	pass(HOLD_NS);
	sem_post(&sem);
}

NOINLINE void waits_sem(void)
{
	WAIT(sem_wait(&sem));
	__asm__ volatile("");
}

NOINLINE void waits_barrier(void)
{
	WAIT(pthread_barrier_wait(&barrier));
	__asm__ volatile("");
}

static void *sleeps(void *arg)
{
	pass(HOLD_NS);
	return arg;
}

static int sleeps_c11(void *arg)
{
	(void)arg;
	pass(HOLD_NS);
	return 0;
}

NOINLINE void waits_join(void)
{
	pthread_t t;

	pthread_create(&t, NULL, sleeps, NULL);
	WAIT(pthread_join(t, NULL));
	__asm__ volatile("");
}

NOINLINE void waits_thrd_join(void)
{
	thrd_t t;

	thrd_create(&t, sleeps_c11, NULL);
	WAIT(thrd_join(t, NULL));
	__asm__ volatile("");
}

/* As absl's semaphore of each thread.  An operation is an int: what is above it may be anything. */
NOINLINE void waits_word(void)
{
	long wait = FUTEX_WAIT_PRIVATE | 4711L << 32;

	WAIT(while (word == 0) syscall(SYS_futex, &word, wait, 0, NULL, NULL, 0));
	word = 0;
	__asm__ volatile("");
}

/* As Wine: one of several words. */
NOINLINE void waits_words(void)
{
	static int never;
	struct { uint64_t value, at; uint32_t flags, zero; } words[2] = {
		{ 0, (uintptr_t)&never, 2 | FUTEX_PRIVATE_FLAG, 0 },
		{ 0, (uintptr_t)&word, 2 | FUTEX_PRIVATE_FLAG, 0 },
	};

	WAIT(while (word == 0) syscall(449, words, 2, 0, NULL, 0));
	word = 0;
	__asm__ volatile("");
}

/* --- cases ----------------------------------------------------------------------------------- */

static void *consumes_all(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		consumes();
	return arg;
}

static void case_producer(void)
{
	pthread_t t;

	pthread_create(&t, NULL, consumes_all, NULL);
	produces();
	while (pthread_tryjoin_np(t, NULL) == EBUSY)
		pass(MS);
}

static void case_until_wait(void)
{
	pthread_mutex_lock(&hot_mutex);
	in_step(holds_until_it_waits, waits_and_posts, 1);
	pthread_mutex_unlock(&hot_mutex);
}

/* One of the two sleeps first. */
NOINLINE void comes_late(void)
{
	pass(HOLD_NS);
	pthread_barrier_wait(&barrier);
}

static void wakes_word(void)
{
	pass(HOLD_NS);
	word = 1;
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	while (word == 1)
		sched_yield();
}

/* Nobody is in anybody's way. */
NOINLINE void uses_all_alone(void)
{
	static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;

	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&hot_mutex);
		pthread_mutex_unlock(&hot_mutex);
		pthread_mutex_trylock(&robust);
		pthread_mutex_unlock(&robust);
		pthread_rwlock_rdlock(&rw);
		pthread_rwlock_unlock(&rw);
		pthread_rwlock_wrlock(&rw);
		pthread_rwlock_unlock(&rw);
		pthread_spin_lock(&spin);
		pthread_spin_unlock(&spin);
		mtx_lock(&c11);
		mtx_unlock(&c11);
		sem_post(&sem);
		sem_wait(&sem);
		three_lock();
		three_unlock();
		pthread_cond_signal(&cond);
	}
}

static void does_nothing(void)
{
	pass(MS);
}

/* A second thread is there, for locks are different then. */
static void case_uncontended(void)
{
	beside(does_nothing, does_nothing);
	uses_all_alone();
}

static void case_mutex(void) { in_step(holds_mutex, waits_mutex, 2); }
static void case_mutex_timed(void) { in_step(holds_mutex, waits_mutex_timed, 1); }
static void case_mutex_clock(void) { in_step(holds_mutex, waits_mutex_clock, 1); }
static void case_mutex_in_vain(void) { in_step(holds_mutex, waits_in_vain, 1); }
static void case_robust(void) { in_step(holds_robust, waits_robust, 1); }
static void case_read(void) { in_step(writes, waits_to_read, 2); }
static void case_write(void) { in_step(reads, waits_to_write, 1); }
static void case_behind(void) { in_step(reads_politely, writes_or_reads, 2); }
static void case_words(void) { beside(wakes_word, waits_words); }
static void case_spin(void) { in_step(holds_spin, waits_spin, 1); }
static void case_c11(void) { in_step(holds_c11, waits_c11, 2); }
static void case_three(void) { in_step(holds_three, waits_three, 2); }
static void case_cond_timed(void) { alone(waits_cond_timed); }
static void case_cond_clock(void) { alone(waits_cond_clock); }
static void case_cnd(void) { alone(waits_cnd); }
static void case_sem(void) { beside(posts, waits_sem); }
static void case_barrier(void) { beside(comes_late, waits_barrier); }
static void case_join(void) { alone(waits_join); }
static void case_thrd_join(void) { alone(waits_thrd_join); }
static void case_word(void) { beside(wakes_word, waits_word); }

#define CASE(name) { #name, case_##name }

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } cases[] = {
		CASE(mutex), CASE(mutex_timed), CASE(mutex_clock), CASE(mutex_in_vain), CASE(robust),
		CASE(read), CASE(write), CASE(spin), CASE(c11), CASE(three), CASE(until_wait),
		CASE(producer), CASE(cond_timed), CASE(cond_clock), CASE(cnd), CASE(sem), CASE(barrier),
		CASE(join), CASE(thrd_join), CASE(word), CASE(words), CASE(behind), CASE(uncontended),
	};
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_spin_init(&spin, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	sem_init(&sem, 0, 0);
	mtx_init(&c11, mtx_plain);
	cnd_init(&c11_cond);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) {
			cases[i].run();
			truth_say();
			stay();
			return 0;
		}
		if (argc == 1)
			puts(cases[i].name);
	}
	return argc > 1;
}
