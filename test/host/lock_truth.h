/* lock_truth.h -- what a host of locks measures itself: who waited and who held, from when to when.
 *
 *     block NAME N NS     N waits in NAME, of NS altogether
 *     mutex NAME NS       for so long somebody waited while NAME held, added up over all who did
 *
 * A host has one lock at a time.  C and C++. */
#ifndef LOCK_TRUTH_H
#define LOCK_TRUTH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE  __attribute__((noinline, noclone))
#define TRUTH_MAX 200000
#define MS        1000000ull

struct truth_span {
	uint64_t    begin, end;
	const char *who;
};

static struct truth_span truth_waits[TRUTH_MAX], truth_holds[TRUTH_MAX];
static unsigned truth_waits_n, truth_holds_n;

static inline uint64_t truth_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static inline void truth_add(struct truth_span *span, unsigned *n, const char *who, uint64_t begin)
{
	uint64_t end = truth_now();
	unsigned at = __atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);

	if (at >= TRUTH_MAX)
		abort();
	span[at].begin = begin;
	span[at].end = end;
	span[at].who = who;
}

/* Just after a wait that began then; just before what was held since then is given back. */
static inline void truth_waited(const char *who, uint64_t begin)
{
	truth_add(truth_waits, &truth_waits_n, who, begin);
}

static inline void truth_held(const char *who, uint64_t begin)
{
	truth_add(truth_holds, &truth_holds_n, who, begin);
}

static inline void pass(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / (1000 * MS)), (long)(ns % (1000 * MS)) };

	nanosleep(&t, NULL);
}

static uint64_t truth_overlap(const struct truth_span *a, const struct truth_span *b)
{
	uint64_t begin = a->begin > b->begin ? a->begin : b->begin;
	uint64_t end = a->end < b->end ? a->end : b->end;

	return end > begin ? end - begin : 0;
}

static uint64_t truth_of_hold(const struct truth_span *hold)
{
	uint64_t ns = 0;

	for (unsigned i = 0; i < truth_waits_n; i++)
		ns += truth_overlap(hold, &truth_waits[i]);
	return ns;
}

/* Each name once: with the first span that has it. */
static int truth_is_first(const struct truth_span *span, unsigned at)
{
	for (unsigned i = 0; i < at; i++)
		if (strcmp(span[i].who, span[at].who) == 0)
			return 0;
	return 1;
}

static void truth_say(void)
{
	for (unsigned i = 0; i < truth_waits_n; i++) {
		uint64_t ns = 0;
		unsigned n = 0;

		if (!truth_is_first(truth_waits, i))
			continue;
		for (unsigned k = i; k < truth_waits_n; k++) {
			if (strcmp(truth_waits[k].who, truth_waits[i].who) != 0)
				continue;
			ns += truth_waits[k].end - truth_waits[k].begin;
			n++;
		}
		printf("block %s %u %llu\n", truth_waits[i].who, n, (unsigned long long)ns);
	}
	for (unsigned i = 0; i < truth_holds_n; i++) {
		uint64_t ns = 0;

		if (!truth_is_first(truth_holds, i))
			continue;
		for (unsigned k = i; k < truth_holds_n; k++)
			if (strcmp(truth_holds[k].who, truth_holds[i].who) == 0)
				ns += truth_of_hold(&truth_holds[k]);
		printf("mutex %s %llu\n", truth_holds[i].who, (unsigned long long)ns);
	}
	puts("ready");
	fflush(stdout);
}

/* Until the end of its input: its profiles are there to be read. */
static inline void stay(void)
{
	char c[64];

	while (read(0, c, sizeof(c)) > 0)
		;
}

#endif
