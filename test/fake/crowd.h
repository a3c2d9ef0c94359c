/* test/fake/crowd.h -- many threads that start at once.  cmocka's asserts belong to the main
 * thread: what a thread finds wrong, it says with CROWD_DEMAND, and crowd_check says it again where
 * it counts. */
#ifndef TEST_FAKE_CROWD_H
#define TEST_FAKE_CROWD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define CROWD_MAX 64

struct crowd_member {
	pthread_t          thread;
	unsigned           who;
	pthread_barrier_t *start;
	void             (*run)(unsigned who);
};

static _Atomic(const char *) crowd_wrong;       /* the first claim that did not hold */

#define CROWD_DEMAND(claim)                              \
	do {                                             \
		if (!(claim))                            \
			atomic_store(&crowd_wrong, #claim); \
	} while (0)

static void *crowd_begin(void *arg)
{
	struct crowd_member *m = arg;

	pthread_barrier_wait(m->start);
	m->run(m->who);
	return NULL;
}

/* Runs it in so many threads, numbered from 0, and waits for all of them. */
static inline void crowd_run(unsigned threads, void (*run)(unsigned who))
{
	struct crowd_member member[CROWD_MAX];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, threads);
	for (unsigned i = 0; i < threads; i++) {
		member[i] = (struct crowd_member){ 0, i, &start, run };
		if (pthread_create(&member[i].thread, NULL, crowd_begin, &member[i]) != 0)
			abort();
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(member[i].thread, NULL);
	pthread_barrier_destroy(&start);
}

static inline double crowd_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define crowd_check()                                                    \
	do {                                                             \
		const char *wrong_ = atomic_exchange(&crowd_wrong, NULL); \
		if (wrong_ != NULL)                                      \
			fail_msg("in a thread: %s", wrong_);             \
	} while (0)

#endif
