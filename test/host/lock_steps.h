/* lock_steps.h -- waits in step: what is waited for is held, or not yet there, when the wait begins, and
 * the holder sleeps; a known number of times. */
#ifndef LOCK_STEPS_H
#define LOCK_STEPS_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "lock_truth.h"

#define ROUNDS  40
#define HOLD_NS (5 * MS)

/* Measures a call that waits, in the function that calls it. */
#define WAIT(call)                                     \
	do {                                           \
		uint64_t wait_begin = truth_now();     \
		call;                                  \
		truth_waited(__func__, wait_begin);    \
	} while (0)

/* A holder, up to the call that gives it back. */
#define HOLD(take, give)                               \
	do {                                           \
		uint64_t hold_begin;                   \
		take;                                  \
		hold_begin = truth_now();              \
		now_held();                            \
		pass(HOLD_NS);                         \
		truth_held(__func__, hold_begin);      \
		give;                                  \
	} while (0)

/* --- in step --------------------------------------------------------------------------------- */

static atomic_int held, waiters, waiting, served;

/* The holder sleeps when all have said that they are about to wait. */
static void now_held(void)
{
	served = 0;
	held++;
	while (waiting < waiters)
		sched_yield();
	pass(MS / 4);
}

/* A waiter, before and after round i. */
static void before(int i)
{
	while (held <= i)
		sched_yield();
	waiting++;
}

static void after(void)
{
	served++;
}

/* The holder, between two rounds. */
static void all_served(void)
{
	while (served < waiters)
		sched_yield();
	waiting = 0;
}

/* One thread `holds` ROUNDS times while n others `waits` each time. */
static void (*do_hold)(void), (*do_wait)(void);

static void *waits_in_step(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		before(i);
		do_wait();
		after();
	}
	return arg;
}

static void in_step(void (*holds)(void), void (*waits)(void), int n)
{
	pthread_t thread[8];

	do_hold = holds;
	do_wait = waits;
	waiters = n;
	for (int i = 0; i < n; i++)
		pthread_create(&thread[i], NULL, waits_in_step, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		do_hold();
		all_served();
	}
	/* Not to be waited for by join, which is counted. */
	for (int i = 0; i < n; i++)
		while (pthread_tryjoin_np(thread[i], NULL) == EBUSY)
			pass(MS);
}

static void *loops(void *arg)
{
	void (**f)(void) = arg;

	for (int i = 0; i < ROUNDS; i++)
		(*f)();
	return arg;
}

/* Beside the main thread. */
static void beside(void (*other)(void), void (*mine)(void))
{
	pthread_t t;

	pthread_create(&t, NULL, loops, &other);
	for (int i = 0; i < ROUNDS; i++)
		mine();
	while (pthread_tryjoin_np(t, NULL) == EBUSY)
		pass(MS);
}

static void alone(void (*f)(void))
{
	for (int i = 0; i < ROUNDS; i++)
		f();
}

#endif
