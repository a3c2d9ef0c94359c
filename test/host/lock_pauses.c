/* lock_pauses -- what conditions, joins, barriers and semaphores promise: timeouts, cancellation, signals.
 * Says one line a promise. */
#include <semaphore.h>
#include <signal.h>

#include "lock_say.h"

static pthread_mutex_t m;
static pthread_cond_t c;
static pthread_barrier_t b;
static pthread_rwlock_t l;
static sem_t s;
static int turn, cleaned;

static void make_mutex(int type, int robust, int protocol)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, type);
	pthread_mutexattr_setrobust(&a, robust);
	pthread_mutexattr_setprotocol(&a, protocol);
	pthread_mutex_init(&m, &a);
	pthread_mutexattr_destroy(&a);
}

static void make_condition(clockid_t clock)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, clock);
	pthread_cond_init(&c, &a);
	pthread_condattr_destroy(&a);
}

/* --- conditions ------------------------------------------------------------------------------- */

static int wait_turn(void *how)
{
	int err = pthread_mutex_lock(&m);

	while (err == 0 && turn == 0)
		err = how == NULL	     ? pthread_cond_wait(&c, &m)
		      : *(const char *)how == 't' ? pthread_cond_timedwait(&c, &m, in_ms(60000))
					     : pthread_cond_clockwait(&c, &m, CLOCK_MONOTONIC,
							      in_ms_by(CLOCK_MONOTONIC, 60000));
	turn--;
	pthread_mutex_unlock(&m);
	return err;
}

static void condition_of(const char *name, clockid_t clock)
{
	struct task t[3];

	subject = name;
	make_condition(clock);
	SAY_CALL(pthread_mutex_lock(&m));
	SAY_CALL(pthread_cond_timedwait(&c, &m, &past));
	SAY_CALL(pthread_cond_timedwait(&c, &m, &before_1970));
	SAY_CALL(pthread_cond_timedwait(&c, &m, &never));
	SAY_CALL(pthread_cond_timedwait(&c, &m, in_ms_by(clock, 5)));
	SAY_CALL(pthread_cond_clockwait(&c, &m, CLOCK_REALTIME, in_ms(5)));
	SAY_CALL(pthread_cond_clockwait(&c, &m, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 5)));
	SAY_CALL(pthread_cond_clockwait(&c, &m, CLOCK_PROCESS_CPUTIME_ID, &past));
	SAY_CALL(pthread_mutex_unlock(&m));
	task_start(&t[0], wait_turn, NULL);
	task_start(&t[1], wait_turn, clock == CLOCK_REALTIME ? "t" : "c");
	task_start(&t[2], wait_turn, "c");
	for (int i = 0; i < 3; i++)
		task_asleep(&t[i]);
	SAY_CALL(pthread_mutex_lock(&m));
	turn = 3;
	SAY_CALL(pthread_cond_signal(&c));
	SAY_CALL(pthread_cond_broadcast(&c));
	SAY_CALL(pthread_mutex_unlock(&m));
	for (int i = 0; i < 3; i++)
		say("waiter %d: %s", i, name_of(task_end(&t[i])));
	SAY_CALL(pthread_cond_destroy(&c));
}

static void conditions(void)
{
	static const struct { const char *name; int type, robust, protocol; } mutexes[] = {
		{ "condition", PTHREAD_MUTEX_NORMAL, 0, 0 },
		{ "condition, recursive", PTHREAD_MUTEX_RECURSIVE, 0, 0 },
		{ "condition, errorcheck", PTHREAD_MUTEX_ERRORCHECK, 0, 0 },
		{ "condition, adaptive", PTHREAD_MUTEX_ADAPTIVE_NP, 0, 0 },
		{ "condition, robust", PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, 0 },
		{ "condition, inherit", PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT },
	};

	for (size_t i = 0; i < COUNT_OF(mutexes); i++) {
		make_mutex(mutexes[i].type, mutexes[i].robust, mutexes[i].protocol);
		condition_of(mutexes[i].name, CLOCK_REALTIME);
		condition_of(mutexes[i].name, CLOCK_MONOTONIC);
		if (mutexes[i].type == PTHREAD_MUTEX_ERRORCHECK) {
			SAY_CALL(pthread_cond_wait(&c, &m));
			SAY_CALL(pthread_cond_timedwait(&c, &m, &past));
		}
	}
}

/* --- joins ------------------------------------------------------------------------------------ */

static int hold_until(void *of)
{
	pthread_mutex_lock(of);
	return pthread_mutex_unlock(of);
}

static void *leave(void *with) { pthread_exit(with); }

static void joins(void)
{
	struct task t;
	void *result = NULL;

	subject = "join";
	make_mutex(PTHREAD_MUTEX_NORMAL, 0, 0);
	pthread_mutex_lock(&m);
	task_start(&t, hold_until, &m);
	SAY_CALL(pthread_tryjoin_np(t.thread, &result));
	SAY_CALL(pthread_timedjoin_np(t.thread, &result, &past));
	SAY_CALL(pthread_timedjoin_np(t.thread, &result, in_ms(5)));
	SAY_CALL(pthread_clockjoin_np(t.thread, &result, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 5)));
	SAY_CALL(pthread_clockjoin_np(t.thread, &result, CLOCK_PROCESS_CPUTIME_ID, &past));
	pthread_mutex_unlock(&m);
	SAY_CALL(pthread_clockjoin_np(t.thread, &result, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 60000)));
	say("its result: %d", result == &t);
	SAY_CALL(pthread_join(pthread_self(), &result));
	task_start(&t, hold_until, &m);
	SAY_CALL(pthread_timedjoin_np(t.thread, &result, NULL));
	task_start(&t, hold_until, &m);
	SAY_CALL(pthread_join(t.thread, NULL));
	pthread_create(&t.thread, NULL, leave, &t);
	SAY_CALL(pthread_join(t.thread, &result));
	say("its result: %d", result == &t);
	pthread_mutex_lock(&m);
	task_start(&t, hold_until, &m);
	pthread_detach(t.thread);
	SAY_CALL(pthread_join(t.thread, &result));
	pthread_mutex_unlock(&m);
}

/* --- barriers --------------------------------------------------------------------------------- */

static int meet(void *unused)
{
	(void)unused;
	return pthread_barrier_wait(&b);
}

static void barriers(void)
{
	struct task t[3];
	int serial, zero;

	subject = "barrier";
	SAY_CALL(pthread_barrier_init(&b, NULL, 0));
	SAY_CALL(pthread_barrier_init(&b, NULL, 4));
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++)
			task_start(&t[i], meet, NULL);
		for (int i = 0; i < 3; i++)
			task_asleep(&t[i]);
		zero = serial = 0;
		for (int i = -1; i < 3; i++) {
			int got = i < 0 ? pthread_barrier_wait(&b) : task_end(&t[i]);

			serial += got == PTHREAD_BARRIER_SERIAL_THREAD;
			zero += got == 0;
		}
		say("serial %d, others %d", serial, zero);
	}
	SAY_CALL(pthread_barrier_destroy(&b));
	SAY_CALL(pthread_barrier_init(&b, NULL, 1));
	SAY_CALL(pthread_barrier_wait(&b));
}

/* --- semaphores, and signals ------------------------------------------------------------------ */

static volatile int caught;

static void catch(int sig) { (void)sig; caught++; }

static int take(void *unused)
{
	(void)unused;
	SAY_CALL(sem_wait(&s));
	SAY_CALL(sem_timedwait(&s, in_ms(60000)));
	SAY_CALL(sem_clockwait(&s, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 60000)));
	return 0;
}

static void interrupted(int flags)
{
	struct sigaction act = { .sa_handler = catch, .sa_flags = flags };
	struct task t;

	subject = flags & SA_RESTART ? "semaphore, SA_RESTART" : "semaphore, signals";
	sigaction(SIGUSR1, &act, NULL);
	sem_init(&s, 0, 0);
	task_start(&t, take, NULL);
	/* Those with a timeout do not begin again. */
	for (int i = 0; i < (flags & SA_RESTART ? 2 : 3); i++) {
		caught = 0;
		task_asleep(&t);
		pthread_kill(t.thread, SIGUSR1);
		while (caught == 0)
			sched_yield();
		sleep_ms(5);
		if (flags & SA_RESTART) {
			task_asleep(&t);
			sem_post(&s);
			sleep_ms(5);
		}
	}
	say("all taken: %d", task_end(&t));
}

static void semaphores(void)
{
	int value = -1;

	subject = "semaphore";
	SAY_CALL(sem_init(&s, 0, 2));
	SAY_CALL(sem_wait(&s));
	SAY_CALL(sem_timedwait(&s, &never));
	SAY_CALL(sem_getvalue(&s, &value));
	say("value %d", value);
	SAY_CALL(sem_trywait(&s));
	SAY_CALL(sem_timedwait(&s, &past));
	SAY_CALL(sem_timedwait(&s, &before_1970));
	SAY_CALL(sem_timedwait(&s, &never));
	SAY_CALL(sem_timedwait(&s, &negative));
	SAY_CALL(sem_timedwait(&s, in_ms(5)));
	SAY_CALL(sem_clockwait(&s, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 5)));
	SAY_CALL(sem_clockwait(&s, CLOCK_PROCESS_CPUTIME_ID, &past));
	SAY_CALL(sem_post(&s));
	SAY_CALL(sem_clockwait(&s, CLOCK_PROCESS_CPUTIME_ID, &past));
	SAY_CALL(sem_post(&s));
	SAY_CALL(sem_clockwait(&s, CLOCK_MONOTONIC, &past));
	SAY_CALL(sem_destroy(&s));
	interrupted(0);
	interrupted(SA_RESTART);
}

/* --- cancellation ----------------------------------------------------------------------------- */

/* What the thread holds, its handlers see; for m: errorcheck. */
static void clean_mutex(void *of)
{
	cleaned = pthread_mutex_unlock(of) == 0 ? 1 : 100;
}

static void clean(void *unused) { (void)unused; cleaned = 1; }

static int cancelled_in_wait(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&m);
	pthread_cleanup_push(clean_mutex, &m);
	for (;;)
		pthread_cond_wait(&c, &m);
	pthread_cleanup_pop(0);
}

static int cancelled_in_timedwait(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&m);
	pthread_cleanup_push(clean_mutex, &m);
	for (;;)
		pthread_cond_clockwait(&c, &m, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 60000));
	pthread_cleanup_pop(0);
}

#define CANCELLED_IN(name, call)                \
	static int cancelled_in_##name(void *of) \
	{                                       \
		(void)of;                       \
		pthread_cleanup_push(clean, NULL); \
		for (;;)                        \
			call;                   \
		pthread_cleanup_pop(0);         \
	}

static pthread_t never_ends;

CANCELLED_IN(join, pthread_join(never_ends, NULL))
CANCELLED_IN(timedjoin, pthread_timedjoin_np(never_ends, NULL, in_ms(60000)))
CANCELLED_IN(semaphore, sem_wait(&s))
CANCELLED_IN(timed_semaphore, sem_timedwait(&s, in_ms(60000)))
CANCELLED_IN(free_semaphore, (sem_post(&s), sem_wait(&s)))

/* No cancellation points: they go on, and end at the next one. */
#define NOT_CANCELLED_IN(name, call, undo)      \
	static int cancelled_in_##name(void *of) \
	{                                       \
		(void)of;                       \
		pthread_cleanup_push(clean, NULL); \
		if ((call) == 0)                \
			undo;                   \
		say("it went on");              \
		pthread_testcancel();           \
		pthread_cleanup_pop(0);         \
		return 0;                       \
	}

NOT_CANCELLED_IN(mutex, pthread_mutex_lock(&m), pthread_mutex_unlock(&m))
NOT_CANCELLED_IN(read_lock, pthread_rwlock_rdlock(&l), pthread_rwlock_unlock(&l))
NOT_CANCELLED_IN(write_lock, pthread_rwlock_wrlock(&l), pthread_rwlock_unlock(&l))

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void cancelled(const char *name, int (*run)(void *), bool goes_on)
{
	struct task t = { .run = run };
	void *result = NULL;

	subject = name;
	cleaned = 0;
	if (goes_on) {
		pthread_mutex_lock(&m);
		pthread_rwlock_wrlock(&l);
	}
	pthread_create(&t.thread, NULL, task_body, &t);
	while (t.tid == 0)
		sched_yield();
	if (run != cancelled_in_free_semaphore)
		task_asleep(&t);
	SAY_CALL(pthread_cancel(t.thread));
	if (goes_on) {
		sleep_ms(5);
		say("cleaned %d", cleaned);
		pthread_mutex_unlock(&m);
		pthread_rwlock_unlock(&l);
	}
	SAY_CALL(pthread_join(t.thread, &result));
	say("cancelled %d, cleaned %d", result == PTHREAD_CANCELED, cleaned);
}

static void cancellations(void)
{
	make_condition(CLOCK_REALTIME);
	make_mutex(PTHREAD_MUTEX_ERRORCHECK, 0, 0);
	pthread_create(&never_ends, NULL, wait_for_ever, NULL);
	pthread_rwlock_init(&l, NULL);
	sem_init(&s, 0, 0);
	cancelled("cancelled in a condition", cancelled_in_wait, false);
	cancelled("cancelled in a timed condition", cancelled_in_timedwait, false);
	cancelled("cancelled in a join", cancelled_in_join, false);
	cancelled("cancelled in a timed join", cancelled_in_timedjoin, false);
	cancelled("cancelled in a semaphore", cancelled_in_semaphore, false);
	cancelled("cancelled in a timed semaphore", cancelled_in_timed_semaphore, false);
	cancelled("cancelled in a semaphore that is free", cancelled_in_free_semaphore, false);
	cancelled("cancelled in a mutex", cancelled_in_mutex, true);
	cancelled("cancelled in a read lock", cancelled_in_read_lock, true);
	cancelled("cancelled in a write lock", cancelled_in_write_lock, true);
}

int main(void)
{
	conditions();
	joins();
	barriers();
	semaphores();
	cancellations();
	return 0;
}
