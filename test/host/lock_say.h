/* test/host/lock_say.h -- for hosts that say what calls of locks return, one line a call.  A line is the
 * same in every run: where it depends on what another thread does, that is waited for. */
#ifndef TEST_HOST_LOCK_SAY_H
#define TEST_HOST_LOCK_SAY_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Of which this is a line. */
static const char *subject = "";

static inline __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
	va_list args;

	printf("%s: ", subject);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static inline const char *name_of(int err)
{
	return err == 0 ? "0" : strerrorname_np(err) ? strerrorname_np(err) : "?";
}

/* Says what a call returned, and errno if it has changed. */
#define SAY_CALL(call)                                                                  \
	do {                                                                            \
		int returned_, errno_;                                                  \
                                                                                        \
		errno = ENOTTY;                                                         \
		returned_ = (call);                                                     \
		errno_ = errno;                                                         \
		say("%s %s%s%s", #call, returned_ < 0 ? "-1" : name_of(returned_),      \
		    errno_ == ENOTTY ? "" : ", errno ",                                 \
		    errno_ == ENOTTY ? "" : name_of(errno_));                           \
	} while (0)

/* --- time ------------------------------------------------------------------------------------- */

/* ms from now; or long ago, or no time at all. */
static inline const struct timespec *in_ms_by(clockid_t clock, long ms)
{
	static __thread struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return &t;
}

static inline const struct timespec *in_ms(long ms) { return in_ms_by(CLOCK_REALTIME, ms); }

static const struct timespec past = { 1, 0 }, before_1970 = { -1, 0 }, never = { 1, 1000000000 },
			     negative = { 1, -1 };

/* --- threads ---------------------------------------------------------------------------------- */

static inline void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0)
		;
}

/* Until a task sleeps: by then it waits for what it was started for. */
static inline void until_asleep(pid_t process, pid_t tid)
{
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)process, (int)tid);
	for (int i = 0; i < 5000; i++) {
		FILE *f = fopen(path, "r");
		size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

		if (f != NULL)
			fclose(f);
		text[n] = '\0';
		state = strrchr(text, ')');
		if (n == 0 || (state != NULL && state[2] == 'S'))
			return;
		sleep_ms(1);
	}
}

struct task {
	pthread_t thread;
	_Atomic pid_t tid;
	int (*run)(void *arg);
	void *arg;
	int result;
};

static inline void *task_body(void *of)
{
	struct task *t = of;

	t->tid = gettid();
	t->result = t->run(t->arg);
	return of;
}

static inline void task_start(struct task *t, int (*run)(void *), void *arg)
{
	*t = (struct task){ .run = run, .arg = arg };
	if (pthread_create(&t->thread, NULL, task_body, t) != 0)
		abort();
	while (t->tid == 0)
		sched_yield();
}

static inline void task_asleep(struct task *t) { until_asleep(getpid(), t->tid); }

/* What it gave. */
static inline int task_end(struct task *t)
{
	if (pthread_join(t->thread, NULL) != 0)
		abort();
	return t->result;
}

static inline int in_thread(int (*run)(void *), void *arg)
{
	struct task t;

	task_start(&t, run, arg);
	return task_end(&t);
}

#endif
