/* lock_mutexes -- what mutexes of every kind promise.  Says one line a promise. */
#include <limits.h>
#include <sched.h>

#include "lock_say.h"

static pthread_mutex_t m;
static int guarded;

struct kind { int type, robust, protocol, shared; };

static bool knows_holder(const struct kind *k)
{
	return k->type == PTHREAD_MUTEX_RECURSIVE || k->type == PTHREAD_MUTEX_ERRORCHECK;
}

static void name_kind(const struct kind *k)
{
	static const char *const types[] = { "normal", "recursive", "errorcheck", "adaptive" };
	static const char *const protocols[] = { "", " inherit", " protect" };
	static char text[64];

	snprintf(text, sizeof(text), "%s%s%s%s", types[k->type], k->robust ? " robust" : "",
		 protocols[k->protocol], k->shared ? " shared" : "");
	subject = text;
}

static bool make(const struct kind *k)
{
	pthread_mutexattr_t a;
	int err;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, k->type);
	pthread_mutexattr_setrobust(&a, k->robust);
	pthread_mutexattr_setprotocol(&a, k->protocol);
	pthread_mutexattr_setpshared(&a, k->shared);
	if (k->protocol == PTHREAD_PRIO_PROTECT)
		pthread_mutexattr_setprioceiling(&a, sched_get_priority_min(SCHED_FIFO) + 1);
	err = pthread_mutex_init(&m, &a);
	pthread_mutexattr_destroy(&a);
	if (err != 0)
		say("there is none: %s", name_of(err));
	return err == 0;
}

/* --- another thread --------------------------------------------------------------------------- */

static int try_it(void *unused)
{
	int err = pthread_mutex_trylock(&m);

	(void)unused;
	if (err == 0)
		pthread_mutex_unlock(&m);
	return err;
}

static int lock_it(void *how)
{
	int err = how == NULL ? pthread_mutex_lock(&m)
		  : *(int *)how == 0 ? pthread_mutex_timedlock(&m, in_ms(60000))
				     : pthread_mutex_clocklock(&m, CLOCK_REALTIME, in_ms(60000));

	if (err == 0 || err == EOWNERDEAD) {
		guarded++;
		pthread_mutex_unlock(&m);
	}
	return err;
}

static int unlock_it(void *unused)
{
	(void)unused;
	return pthread_mutex_unlock(&m);
}

static int die_with_it(void *unused)
{
	(void)unused;
	return pthread_mutex_lock(&m);
}

static _Atomic int may_die;

static int die_when_told(void *unused)
{
	int err = pthread_mutex_lock(&m);

	(void)unused;
	while (!may_die)
		sched_yield();
	return err;
}

static int lock_and_mend(void *unused)
{
	int err = pthread_mutex_lock(&m);

	(void)unused;
	if (err == EOWNERDEAD)
		pthread_mutex_consistent(&m);
	pthread_mutex_unlock(&m);
	return err;
}

static int wait_for_it_in_vain(void *unused)
{
	(void)unused;
	SAY_CALL(pthread_mutex_trylock(&m));
	SAY_CALL(pthread_mutex_timedlock(&m, &past));
	SAY_CALL(pthread_mutex_timedlock(&m, &before_1970));
	SAY_CALL(pthread_mutex_timedlock(&m, &never));
	SAY_CALL(pthread_mutex_timedlock(&m, &negative));
	SAY_CALL(pthread_mutex_timedlock(&m, in_ms(5)));
	SAY_CALL(pthread_mutex_clocklock(&m, CLOCK_REALTIME, in_ms(5)));
	SAY_CALL(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, in_ms_by(CLOCK_MONOTONIC, 5)));
	SAY_CALL(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &past));
	SAY_CALL(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &never));
	SAY_CALL(pthread_mutex_clocklock(&m, CLOCK_PROCESS_CPUTIME_ID, &past));
	SAY_CALL(pthread_mutex_clocklock(&m, 4711, &past));
	return 0;
}

/* --- promises --------------------------------------------------------------------------------- */

static void by_its_holder(const struct kind *k)
{
	SAY_CALL(pthread_mutex_trylock(&m));
	if (k->type == PTHREAD_MUTEX_RECURSIVE)
		SAY_CALL(pthread_mutex_unlock(&m));
	SAY_CALL(pthread_mutex_timedlock(&m, in_ms(5)));
	if (k->type == PTHREAD_MUTEX_RECURSIVE)
		SAY_CALL(pthread_mutex_unlock(&m));
	if (knows_holder(k))
		SAY_CALL(pthread_mutex_lock(&m));
	if (k->type == PTHREAD_MUTEX_RECURSIVE) {
		SAY_CALL(in_thread(try_it, NULL));
		SAY_CALL(pthread_mutex_unlock(&m));
		m.__data.__count = UINT_MAX;
		SAY_CALL(pthread_mutex_lock(&m));
		SAY_CALL(pthread_mutex_trylock(&m));
		SAY_CALL(pthread_mutex_timedlock(&m, in_ms(60000)));
		m.__data.__count = 1;
	}
}

/* One that waits gets it, not before the last unlock of the holder. */
static void handed_on(const struct kind *k)
{
	int how[2] = { 0, 1 };
	struct task t[3];

	for (int turn = 0; turn < 3; turn++) {
		SAY_CALL(pthread_mutex_lock(&m));
		if (k->type == PTHREAD_MUTEX_RECURSIVE)
			SAY_CALL(pthread_mutex_lock(&m));
		for (int i = 0; i < 3; i++)
			task_start(&t[i], lock_it, i == 0 ? NULL : &how[i - 1]);
		for (int i = 0; i < 3; i++)
			task_asleep(&t[i]);
		if (k->type == PTHREAD_MUTEX_RECURSIVE)
			SAY_CALL(pthread_mutex_unlock(&m));
		if (knows_holder(k) || k->robust || k->protocol == PTHREAD_PRIO_INHERIT)
			SAY_CALL(in_thread(unlock_it, NULL));
		guarded = 0;
		SAY_CALL(pthread_mutex_unlock(&m));
		for (int i = 0; i < 3; i++)
			say("waiter %d: %s", i, name_of(task_end(&t[i])));
		say("%d of them had it", guarded);
	}
}

static void when_the_holder_dies(const struct kind *k)
{
	struct task t, waits;

	if (k->robust) {
		may_die = 0;
		task_start(&t, die_when_told, NULL);
		while (pthread_mutex_trylock(&m) != EBUSY)
			pthread_mutex_unlock(&m);
		task_start(&waits, lock_and_mend, NULL);
		task_asleep(&waits);
		may_die = 1;
		say("who waits when it dies: %s", name_of(task_end(&waits)));
		task_end(&t);
	}
	task_start(&t, die_with_it, NULL);
	say("a thread dies with it: %s", name_of(task_end(&t)));
	if (!k->robust)
		return;
	SAY_CALL(pthread_mutex_lock(&m));
	SAY_CALL(in_thread(try_it, NULL));
	SAY_CALL(pthread_mutex_consistent(&m));
	SAY_CALL(pthread_mutex_consistent(&m));
	SAY_CALL(pthread_mutex_unlock(&m));
	SAY_CALL(in_thread(try_it, NULL));
	in_thread(die_with_it, NULL);
	SAY_CALL(pthread_mutex_trylock(&m));
	SAY_CALL(pthread_mutex_consistent(&m));
	SAY_CALL(pthread_mutex_unlock(&m));
	in_thread(die_with_it, NULL);
	SAY_CALL(pthread_mutex_timedlock(&m, in_ms(60000)));
	task_start(&waits, lock_it, NULL);
	task_asleep(&waits);
	/* Given back as it is: nobody gets it any more. */
	SAY_CALL(pthread_mutex_unlock(&m));
	say("one that waited: %s", name_of(task_end(&waits)));
	/* libc's own trylock leaves it locked: the last. */
	SAY_CALL(pthread_mutex_lock(&m));
	SAY_CALL(pthread_mutex_unlock(&m));
	SAY_CALL(pthread_mutex_timedlock(&m, in_ms(20)));
	SAY_CALL(pthread_mutex_trylock(&m));
}

static void promises(const struct kind *k)
{
	name_kind(k);
	if (!make(k))
		return;
	SAY_CALL(pthread_mutex_lock(&m));
	if (m.__data.__owner == 0 && k->protocol == PTHREAD_PRIO_PROTECT) {
		say("no right to a priority");
		return;
	}
	if (k->protocol != PTHREAD_PRIO_PROTECT)
		SAY_CALL(pthread_mutex_destroy(&m));
	in_thread(wait_for_it_in_vain, NULL);
	by_its_holder(k);
	SAY_CALL(pthread_mutex_unlock(&m));
	if (knows_holder(k))
		SAY_CALL(pthread_mutex_unlock(&m));
	handed_on(k);
	/* Destroyed, and another one there. */
	SAY_CALL(pthread_mutex_destroy(&m));
	if (k->type == PTHREAD_MUTEX_ERRORCHECK)
		SAY_CALL(pthread_mutex_lock(&m));
	make(k);
	SAY_CALL(in_thread(lock_it, NULL));
	when_the_holder_dies(k);
}

static void static_ones(void)
{
	static const struct { const char *name; pthread_mutex_t m; struct kind k; } of[] = {
		{ "static", PTHREAD_MUTEX_INITIALIZER, { PTHREAD_MUTEX_NORMAL, 0, 0, 0 } },
		{ "static recursive", PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
		  { PTHREAD_MUTEX_RECURSIVE, 0, 0, 0 } },
		{ "static errorcheck", PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
		  { PTHREAD_MUTEX_ERRORCHECK, 0, 0, 0 } },
		{ "static adaptive", PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP,
		  { PTHREAD_MUTEX_ADAPTIVE_NP, 0, 0, 0 } },
	};

	for (size_t i = 0; i < COUNT_OF(of); i++) {
		subject = of[i].name;
		m = of[i].m;
		handed_on(&of[i].k);
	}
}

int main(void)
{
	static const int protocols[] = { PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT };

	for (int type = 0; type < 4; type++)
		for (int robust = 0; robust < 2; robust++)
			for (size_t p = 0; p < COUNT_OF(protocols); p++)
				for (int shared = 0; shared < 2; shared++)
					promises(&(struct kind){ type, robust, protocols[p], shared });
	/* A process's first lock of these says EINVAL (glibc 2.36), whatever its type. */
	for (int i = 0; i < 5; i++)
		promises(&(struct kind){ i % 4, 0, PTHREAD_PRIO_PROTECT, 0 });
	static_ones();
	return 0;
}
