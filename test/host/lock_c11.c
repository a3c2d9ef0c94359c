/* lock_c11 -- what C11's locks and threads promise.  Says one line a promise. */
#include <threads.h>

#include "lock_say.h"

static mtx_t m;
static cnd_t c;
static _Atomic int turn;
static _Atomic pid_t waiter;

#define SAY_C11(call)                                                           \
	do {                                                                    \
		static const char *const names[] = { "success", "busy", "error", "nomem", "timedout" }; \
		int returned_, errno_;                                          \
                                                                                \
		errno = ENOTTY;                                                 \
		returned_ = (call);                                             \
		errno_ = errno;                                                 \
		say("%s %s%s", #call,                                           \
		    returned_ >= 0 && returned_ < 5 ? names[returned_] : "?",   \
		    errno_ == ENOTTY ? "" : ", errno has changed");             \
	} while (0)

static _Atomic int may_ask;        /* so that lines come in one order */

static int ask(void *of)
{
	const bool *timed = of;

	while (!may_ask)
		thrd_yield();
	SAY_C11(mtx_trylock(&m));
	if (*timed) {
		SAY_C11(mtx_timedlock(&m, &past));
		SAY_C11(mtx_timedlock(&m, &never));
		SAY_C11(mtx_timedlock(&m, in_ms(5)));
	}
	return 4711;
}

static int wait_turn(void *unused)
{
	int result;

	(void)unused;
	waiter = gettid();
	result = mtx_lock(&m);
	while (result == thrd_success && turn == 0)
		result = cnd_wait(&c, &m);
	while (result == thrd_success && turn == 1)
		result = cnd_timedwait(&c, &m, in_ms(60000));
	mtx_unlock(&m);
	return result;
}

static int leave(void *unused)
{
	(void)unused;
	thrd_exit(42);
}

static void hand_on(void)
{
	thrd_t t;
	int result = -1;

	turn = waiter = 0;
	SAY_C11(mtx_lock(&m));
	SAY_C11(thrd_create(&t, wait_turn, NULL));
	while (waiter == 0)
		thrd_yield();
	until_asleep(getpid(), waiter);
	SAY_C11(mtx_unlock(&m));
	for (int i = 0; i < 2; i++) {
		sleep_ms(2);
		until_asleep(getpid(), waiter);
		SAY_C11(mtx_lock(&m));
		turn++;
		SAY_C11(i == 0 ? cnd_signal(&c) : cnd_broadcast(&c));
		SAY_C11(mtx_unlock(&m));
	}
	SAY_C11(thrd_join(t, &result));
	say("its result %d", result);
}

static void kind(const char *name, int type)
{
	bool timed = (type & mtx_timed) != 0;
	thrd_t t;
	int result = -1;

	subject = name;
	SAY_C11(mtx_init(&m, type));
	SAY_C11(cnd_init(&c));
	SAY_C11(mtx_lock(&m));
	if (type & mtx_recursive) {
		SAY_C11(mtx_lock(&m));
		SAY_C11(mtx_trylock(&m));
		SAY_C11(mtx_unlock(&m));
		SAY_C11(mtx_unlock(&m));
	}
	may_ask = 0;
	SAY_C11(thrd_create(&t, ask, &timed));
	may_ask = 1;
	SAY_C11(thrd_join(t, &result));
	say("its result %d", result);
	SAY_C11(cnd_timedwait(&c, &m, &past));
	SAY_C11(cnd_timedwait(&c, &m, &never));
	SAY_C11(cnd_timedwait(&c, &m, in_ms(5)));
	SAY_C11(mtx_unlock(&m));
	if (type & mtx_recursive)
		SAY_C11(mtx_unlock(&m));
	for (int i = 0; i < 2; i++)
		hand_on();
	SAY_C11(thrd_create(&t, leave, NULL));
	SAY_C11(thrd_join(t, &result));
	say("its result %d", result);
	SAY_C11(thrd_create(&t, leave, NULL));
	SAY_C11(thrd_join(t, NULL));
	cnd_destroy(&c);
	mtx_destroy(&m);
}

int main(void)
{
	kind("plain", mtx_plain);
	kind("timed", mtx_timed);
	kind("recursive", mtx_plain | mtx_recursive);
	kind("timed recursive", mtx_timed | mtx_recursive);
	return 0;
}
