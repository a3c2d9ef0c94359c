/* lock_rwlocks -- what read-write locks of every kind promise, and spin locks.  Says one line a promise. */
#include <limits.h>

#include "lock_say.h"

static pthread_rwlock_t l;
static pthread_spinlock_t spin;
static _Atomic int order;

static void make(int kind, int shared)
{
	pthread_rwlockattr_t a;

	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setkind_np(&a, kind);
	pthread_rwlockattr_setpshared(&a, shared);
	SAY_CALL(pthread_rwlock_init(&l, &a));
	pthread_rwlockattr_destroy(&a);
}

/* --- another thread --------------------------------------------------------------------------- */

static int try_to_read(void)
{
	int err = pthread_rwlock_tryrdlock(&l);

	if (err == 0)
		pthread_rwlock_unlock(&l);
	return err;
}

static int ask(void *unused)
{
	(void)unused;
	SAY_CALL(try_to_read());
	SAY_CALL(pthread_rwlock_trywrlock(&l));
	SAY_CALL(pthread_rwlock_timedwrlock(&l, &past));
	SAY_CALL(pthread_rwlock_timedwrlock(&l, &never));
	SAY_CALL(pthread_rwlock_timedwrlock(&l, &negative));
	SAY_CALL(pthread_rwlock_timedwrlock(&l, in_ms(5)));
	SAY_CALL(pthread_rwlock_clockwrlock(&l, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 5)));
	SAY_CALL(pthread_rwlock_clockwrlock(&l, CLOCK_REALTIME, &before_1970));
	SAY_CALL(pthread_rwlock_clockwrlock(&l, CLOCK_PROCESS_CPUTIME_ID, &past));
	return 0;
}

static int ask_to_read(void *unused)
{
	(void)unused;
	SAY_CALL(pthread_rwlock_timedrdlock(&l, &past));
	SAY_CALL(pthread_rwlock_timedrdlock(&l, &never));
	SAY_CALL(pthread_rwlock_timedrdlock(&l, in_ms(5)));
	SAY_CALL(pthread_rwlock_clockrdlock(&l, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 5)));
	SAY_CALL(pthread_rwlock_clockrdlock(&l, CLOCK_REALTIME, &before_1970));
	SAY_CALL(pthread_rwlock_clockrdlock(&l, CLOCK_PROCESS_CPUTIME_ID, &past));
	return 0;
}

static int give_up(int err)
{
	int turn;

	if (err != 0)
		return -err;
	turn = ++order;
	pthread_rwlock_unlock(&l);
	return turn;
}

static int write_it(void *unused) { (void)unused; return give_up(pthread_rwlock_wrlock(&l)); }
static int read_it(void *unused) { (void)unused; return give_up(pthread_rwlock_rdlock(&l)); }

static int write_soon(void *unused)
{
	(void)unused;
	return give_up(pthread_rwlock_timedwrlock(&l, in_ms(60000)));
}

static int read_soon(void *unused)
{
	(void)unused;
	return give_up(pthread_rwlock_clockrdlock(&l, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 60000)));
}

/* Starts one that waits; who comes after it knows that it does. */
static void one_waits(struct task *t, int (*run)(void *))
{
	task_start(t, run, NULL);
	task_asleep(t);
}

/* --- promises --------------------------------------------------------------------------------- */

static void behind_a_writer(void)
{
	struct task t[4];

	SAY_CALL(pthread_rwlock_wrlock(&l));
	SAY_CALL(pthread_rwlock_wrlock(&l));
	SAY_CALL(pthread_rwlock_rdlock(&l));
	SAY_CALL(pthread_rwlock_timedwrlock(&l, in_ms(60000)));
	SAY_CALL(pthread_rwlock_timedrdlock(&l, in_ms(60000)));
	SAY_CALL(pthread_rwlock_tryrdlock(&l));
	SAY_CALL(pthread_rwlock_trywrlock(&l));
	in_thread(ask, NULL);
	in_thread(ask_to_read, NULL);
	order = 0;
	one_waits(&t[0], read_it);
	one_waits(&t[1], write_it);
	one_waits(&t[2], read_soon);
	one_waits(&t[3], write_soon);
	say("while it is written: %d", order);
	SAY_CALL(pthread_rwlock_unlock(&l));
	for (int i = 0; i < 4; i++)
		say("waiter %d has had it: %d", i, task_end(&t[i]) > 0);
}

static void behind_readers(bool writer_first)
{
	struct task writer, reader;

	SAY_CALL(pthread_rwlock_rdlock(&l));
	SAY_CALL(pthread_rwlock_rdlock(&l));
	in_thread(ask, NULL);
	order = 0;
	one_waits(&writer, write_it);
	/* One more reader goes before a writer that waits, or it waits, too. */
	if (writer_first) {
		in_thread(ask_to_read, NULL);
		one_waits(&reader, read_it);
		say("before the writer: %d", order);
	} else {
		task_start(&reader, read_it, NULL);
		say("a reader before the writer: %d", task_end(&reader));
	}
	SAY_CALL(pthread_rwlock_unlock(&l));
	task_asleep(&writer);
	say("one reader is left: %d", order);
	SAY_CALL(pthread_rwlock_unlock(&l));
	say("the writer has had it: %d", task_end(&writer) > 0);
	if (writer_first)
		say("and the reader: %d", task_end(&reader) > 0);
}

static void promises(const char *name, int kind, int shared)
{
	subject = name;
	make(kind, shared);
	behind_a_writer();
	behind_readers(kind == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	SAY_CALL(pthread_rwlock_tryrdlock(&l));
	SAY_CALL(pthread_rwlock_unlock(&l));
	SAY_CALL(pthread_rwlock_trywrlock(&l));
	SAY_CALL(pthread_rwlock_unlock(&l));
	/* As many readers as there can be. */
	l.__data.__readers = 0xfffffff8u & ~7u;
	SAY_CALL(pthread_rwlock_tryrdlock(&l));
	l.__data.__readers = 0;
	SAY_CALL(pthread_rwlock_destroy(&l));
}

static int spin_for_it(void *unused)
{
	(void)unused;
	SAY_CALL(pthread_spin_trylock(&spin));
	order = 1;
	if (pthread_spin_lock(&spin) == 0)
		order = 2;
	return pthread_spin_unlock(&spin);
}

static void spins(const char *name, int shared)
{
	struct task t;

	subject = name;
	SAY_CALL(pthread_spin_init(&spin, shared));
	SAY_CALL(pthread_spin_lock(&spin));
	SAY_CALL(pthread_spin_unlock(&spin));
	SAY_CALL(pthread_spin_trylock(&spin));
	order = 0;
	task_start(&t, spin_for_it, NULL);
	while (order == 0)
		sched_yield();
	sleep_ms(20);
	say("spins: %d", order);
	SAY_CALL(pthread_spin_unlock(&spin));
	say("unlocks: %s", name_of(task_end(&t)));
	say("has had it: %d", order);
	SAY_CALL(pthread_spin_destroy(&spin));
}

int main(void)
{
	static const struct { const char *name; int kind; } kinds[] = {
		{ "readers first", PTHREAD_RWLOCK_PREFER_READER_NP },
		{ "writers first", PTHREAD_RWLOCK_PREFER_WRITER_NP },
		{ "writers first, not recursive", PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP },
	};
	static const pthread_rwlock_t fresh = PTHREAD_RWLOCK_INITIALIZER,
				      fresh_writers = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		for (int shared = 0; shared < 2; shared++)
			promises(kinds[i].name, kinds[i].kind, shared);
	subject = "static";
	l = fresh;
	behind_a_writer();
	behind_readers(false);
	subject = "static, writers first";
	l = fresh_writers;
	behind_a_writer();
	behind_readers(true);
	spins("spin", PTHREAD_PROCESS_PRIVATE);
	spins("shared spin", PTHREAD_PROCESS_SHARED);
	return 0;
}
