/* test/fake/paper_timers.h -- stands in for sampler/sys_<arch>.c: a kernel whose POSIX timers exist on
 * paper only, so that a test can look at them; and its limit, its release.  All else is real. */
#ifndef TEST_FAKE_PAPER_TIMERS_H
#define TEST_FAKE_PAPER_TIMERS_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "sampler/sys.h"

#define PAPER_TIMERS 256
#define PAPER_GOES(ns) ((ns) != 0)

struct paper_timer {
	bool     there;
	int      tid;                   /* 0: of the process */
	uint64_t first_ns, period_ns;   /* 0: it stands still */
	unsigned sets;
	void    *value;                 /* of its signals */
};

static struct {
	struct paper_timer timer[PAPER_TIMERS];
	unsigned    room;               /* timers that the kernel gives; more: EAGAIN */
	int         gone;               /* this thread has ended: EINVAL */
	uint64_t    limit;              /* RLIMIT_SIGPENDING */
	const char *release;
	void (*meanwhile)(void);        /* once, just before the next timer_settime */
	void (*before_create)(void);    /* the same, timer_create; */
	void (*before_tgkill)(void);    /* and tgkill */
} paper;

static inline void paper_do_once(void (**f)(void))
{
	void (*once)(void) = *f;

	*f = NULL;
	if (once != NULL)
		once();
}

static inline unsigned paper_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PAPER_TIMERS; i++)
		n += paper.timer[i].there;
	return n;
}

static inline unsigned paper_going(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PAPER_TIMERS; i++)
		n += paper.timer[i].there && paper.timer[i].period_ns != 0;
	return n;
}

/* The timer of a thread; NULL: it has none. */
static inline struct paper_timer *paper_of(int tid)
{
	for (unsigned i = 0; i < PAPER_TIMERS; i++)
		if (paper.timer[i].there && paper.timer[i].tid == tid)
			return &paper.timer[i];
	return NULL;
}

static inline void paper_reset(void)
{
	memset(&paper, 0, sizeof(paper));
	paper.room = PAPER_TIMERS;
	paper.limit = RLIM_INFINITY;
	paper.release = "6.4.0-rc1";
}

static inline long paper_create(long clock, const int *event, int *id)
{
	unsigned i = 0;

	paper_do_once(&paper.before_create);
	if (event[3] == 4 && event[4] == paper.gone)
		return -EINVAL;
	if (paper_count() >= paper.room)
		return -EAGAIN;
	while (paper.timer[i].there)
		i++;
	/* struct sigevent: value (8 bytes), signal, notify (4: SIGEV_THREAD_ID), thread. */
	paper.timer[i] = (struct paper_timer){ .there = true, .tid = event[3] == 4 ? event[4] : 0 };
	memcpy(&paper.timer[i].value, event, sizeof(void *));
	if ((event[3] == 4) == (clock == CLOCK_PROCESS_CPUTIME_ID))
		return -EINVAL;
	*id = (int)i;
	return 0;
}

static inline long paper_set(long id, const struct itimerspec *spec)
{
	struct paper_timer *t = &paper.timer[id];

	paper_do_once(&paper.meanwhile);
	if (id < 0 || id >= PAPER_TIMERS || !t->there)
		return -EINVAL;
	t->first_ns = (uint64_t)spec->it_value.tv_sec * 1000000000u +
		      (uint64_t)spec->it_value.tv_nsec;
	t->period_ns = (uint64_t)spec->it_interval.tv_sec * 1000000000u +
		       (uint64_t)spec->it_interval.tv_nsec;
	t->sets++;
	return 0;
}

long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	switch (nr) {
	case SYS_timer_create: return paper_create(a, (const int *)b, (int *)c);
	case SYS_timer_settime: return paper_set(a, (const struct itimerspec *)c);
	case SYS_timer_delete:
		result = a >= 0 && a < PAPER_TIMERS && paper.timer[a].there ? 0 : -EINVAL;
		if (result == 0)
			paper.timer[a].there = false;
		return result;
	case SYS_prlimit64:
		*(struct rlimit *)d = (struct rlimit){ paper.limit, paper.limit };
		return 0;
	case SYS_uname: strcpy(((struct utsname *)a)->release, paper.release); return 0;
	case SYS_tgkill: paper_do_once(&paper.before_tgkill); break;
	default: break;
	}
	result = syscall(nr, a, b, c, d, e, f);
	return result < 0 ? -errno : result;
}

#endif
