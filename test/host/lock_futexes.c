/* lock_futexes -- what futexes promise to who calls them through libc's syscall().  Says one line a promise. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lock_say.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static _Atomic uint32_t word, other;
static int private;

static int futex(_Atomic uint32_t *at, int op, uint32_t value, const void *timeout, void *at2, uint32_t value3)
{
	return (int)syscall(SYS_futex, at, op | private, value, timeout, at2, value3);
}

/* More than 0 tells how many; name_of would take it for an error. */
#define SAY_COUNT(call)                                                         \
	do {                                                                    \
		int returned_;                                                  \
                                                                                \
		errno = 0;                                                      \
		returned_ = (call);                                             \
		say("%s %d, errno %s", #call, returned_, name_of(errno));       \
	} while (0)

static const struct timespec soon = { 0, 3000000 }, at_once = { 0, 0 };

static void refused(void)
{
	void *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(gone, 4096);
	word = 0;
	for (uint32_t value = 1; value < 4; value++)
		SAY_COUNT(futex(&word, FUTEX_WAIT, value, NULL, NULL, 0));
	for (word = 0; word < 4; word++) {
		SAY_COUNT(futex(&word, FUTEX_WAIT, word, &soon, NULL, 0));
		SAY_COUNT(futex(&word, FUTEX_WAIT, word, &at_once, NULL, 0));
		SAY_COUNT(futex(&word, FUTEX_WAIT_BITSET, word, &past, NULL, 1));
	}
	SAY_COUNT(futex(&word, FUTEX_WAIT, word, &never, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_WAIT, word, &negative, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_WAIT_BITSET, word, &past, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, word, &past, NULL, 4));
	SAY_COUNT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_WAKE, 0, NULL, NULL, 0));
	SAY_COUNT(futex((void *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
	SAY_COUNT(futex((void *)((char *)&word + 1), FUTEX_WAKE, 1, NULL, NULL, 0));
	for (int i = 0; i < 8; i++)
		SAY_COUNT(futex(gone, FUTEX_WAIT, 2, &soon, NULL, 0));
	SAY_COUNT(futex(gone, FUTEX_WAKE, 1, NULL, NULL, 0));
	SAY_COUNT(futex(NULL, FUTEX_WAIT, 2, &soon, NULL, 0));
	SAY_COUNT(futex(&word, 99, 2, NULL, NULL, 0));
	word = 7;
	SAY_COUNT(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 8));
	SAY_COUNT(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 7));
	SAY_COUNT(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other,
			FUTEX_OP(FUTEX_OP_SET, 3, FUTEX_OP_CMP_EQ, 0)));
	say("words %u %u", word, other);
	other = 0;
}

/* --- with others that wait -------------------------------------------------------------------- */

static int wait_for_change(void *of)
{
	uint32_t was = *(uint32_t *)of;
	int result = 0;

	while (result == 0 && word == was)
		result = futex(&word, FUTEX_WAIT, was, NULL, NULL, 0);
	return result < 0 && errno != EAGAIN ? errno : 0;
}

static void woken(uint32_t was)
{
	struct task t[3];

	word = was;
	for (int i = 0; i < 3; i++)
		task_start(&t[i], wait_for_change, &was);
	for (int i = 0; i < 3; i++)
		task_asleep(&t[i]);
	word = was + 1;
	SAY_COUNT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		say("woken from %u: %s", was, name_of(task_end(&t[i])));
}

/* The lock of three states. */
static void lock(void)
{
	uint32_t free = 0;

	if (!atomic_compare_exchange_strong(&word, &free, 1))
		while (atomic_exchange(&word, 2) != 0)
			futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0);
}

static void unlock(void)
{
	if (atomic_exchange(&word, 0) == 2)
		futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static long counter;

static int count_much(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++) {
		lock();
		counter++;
		if (i % 1000 == 0)
			sched_yield();
		unlock();
	}
	return 0;
}

static void three_states(void)
{
	struct task t[4];

	word = 0;
	counter = 0;
	for (int i = 0; i < 4; i++)
		task_start(&t[i], count_much, NULL);
	for (int i = 0; i < 4; i++)
		task_end(&t[i]);
	say("counted %ld, word %u", counter, word);
}

static int lock_pi(void *of)
{
	int err = futex(&word, *(int *)of, 0, NULL, NULL, 0) < 0 ? errno : 0;

	if (err == 0)
		err = futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) < 0 ? errno : 0;
	return err;
}

static void inherit(int op)
{
	struct task t;

	word = (uint32_t)gettid();
	SAY_COUNT(futex(&word, op, 0, NULL, NULL, 0));
	task_start(&t, lock_pi, &op);
	task_asleep(&t);
	SAY_COUNT(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	say("waiter: %s", name_of(task_end(&t)));
	SAY_COUNT(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SAY_COUNT(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
}

/* --- signals ---------------------------------------------------------------------------------- */

static _Atomic int caught;

static void catch(int sig) { (void)sig; caught = 1; }

static int wait_once(void *unused)
{
	(void)unused;
	return futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0) < 0 ? errno : 0;
}

static void interrupted(int flags)
{
	struct sigaction act = { .sa_handler = catch, .sa_flags = flags };
	struct task t;

	sigaction(SIGUSR1, &act, NULL);
	for (int i = 0; i < 8; i++) {
		caught = 0;
		word = 2;
		task_start(&t, wait_once, NULL);
		task_asleep(&t);
		pthread_kill(t.thread, SIGUSR1);
		while (!caught)
			sched_yield();
		if (flags & SA_RESTART) {
			task_asleep(&t);
			while (futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
				sched_yield();
		}
		say("interrupted: %s", name_of(task_end(&t)));
	}
}

/* --- a condition of a lock with priority inheritance ----------------------------------------- */

static int requeued(void *unused)
{
	int err;

	(void)unused;
	err = futex(&other, FUTEX_WAIT_REQUEUE_PI, 7, NULL, (void *)&word, 0) < 0 ? errno : 0;
	return err | (futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) < 0 ? errno : 0) << 8;
}

static void requeue(void)
{
	struct task t;

	word = 0;
	other = 7;
	SAY_COUNT(futex(&other, FUTEX_WAIT_REQUEUE_PI, 8, NULL, (void *)&word, 0));
	SAY_COUNT(futex(&other, FUTEX_WAIT_REQUEUE_PI, 7, &past, (void *)&word, 0));
	SAY_COUNT(futex(&word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	task_start(&t, requeued, NULL);
	task_asleep(&t);
	SAY_COUNT(futex(&other, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, (void *)&word, 7));
	task_asleep(&t);
	SAY_COUNT(futex(&word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	say("requeued: %s", name_of(task_end(&t)));
	/* Or it has the lock with the wake. */
	task_start(&t, requeued, NULL);
	task_asleep(&t);
	SAY_COUNT(futex(&other, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, (void *)&word, 7));
	say("woken with it: %s", name_of(task_end(&t)));
}

/* --- several at once (Linux 5.16), and by the call that came after (6.7) ---------------------- */

struct one_of {
	uint64_t value, at;
	uint32_t flags, zero;
};

static int waits_for_one(void *unused)
{
	struct one_of of[2] = { { 0, (uintptr_t)&other, 2 | (unsigned)private, 0 },
				{ 2, (uintptr_t)&word, 2 | (unsigned)private, 0 } };
	long n = syscall(449, of, 2, 0, NULL, 0);

	(void)unused;
	return n < 0 ? errno : 1000 + (int)n;
}

static void one_of_several(void)
{
	struct one_of of = { 2, (uintptr_t)&word, 2 | (unsigned)private, 0 };
	struct task t;
	int got;

	word = 2;
	other = 0;
	SAY_COUNT((int)syscall(449, &of, 1, 0, &past, CLOCK_MONOTONIC));
	SAY_COUNT((int)syscall(449, &of, 0, 0, NULL, 0));
	SAY_COUNT((int)syscall(449, NULL, 1, 0, NULL, 0));
	SAY_COUNT((int)syscall(449, &of, 1, 77, NULL, 0));
	SAY_COUNT((int)syscall(455, &word, 2L, 0xffffffffl, 2 | private, &past, CLOCK_MONOTONIC));
	SAY_COUNT((int)syscall(455, &word, 3L, 0xffffffffl, 2 | private, &past, CLOCK_MONOTONIC));
	word = 1;
	SAY_COUNT((int)syscall(449, &of, 1, 0, NULL, 0));
	if (errno == ENOSYS)
		return;
	word = 2;
	task_start(&t, waits_for_one, NULL);
	task_asleep(&t);
	SAY_COUNT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	got = task_end(&t);
	say("one of several: %d", got);
}

int main(void)
{
	for (int i = 0; i < 2; i++) {
		private = i == 0 ? FUTEX_PRIVATE_FLAG : 0;
		subject = i == 0 ? "private" : "shared";
		refused();
		for (uint32_t was = 0; was < 4; was++)
			woken(was);
		three_states();
		/* From counter to lock and back: the same word. */
		for (uint32_t was = 0; was < 4; was++)
			woken(was);
		three_states();
		inherit(FUTEX_LOCK_PI);
		inherit(FUTEX_LOCK_PI2);
		requeue();
		one_of_several();
		interrupted(0);
		interrupted(SA_RESTART);
	}
	return 0;
}
