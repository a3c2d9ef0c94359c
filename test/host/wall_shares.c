/* wall_shares -- threads that sleep, compute and wait in known functions, and measure that
 * themselves.  For each line of its input it says what was so far, also of what goes on:
 *
 *     spent FUNCTION NS       on the wall, added up over all threads
 *     cpu THREAD NS           of its CPU time
 *     waited THREAD NS        for a CPU, as the kernel has counted
 *     at BEGIN END            when it began and ended to say so (CLOCK_MONOTONIC)
 *     end
 *
 * It ends at the end of its input.  With arguments: how many of each kind there are, NAPPERS WORKERS
 * PARKED CONVOY (4 2 3 0). */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define MS       1000000ull
#define MAX      2000

enum function { NAPS_LONG, NAPS_SHORT, BURNS_MUCH, BURNS_LITTLE, RESTS, WAITS, STANDS, HOLDS,
		FUNCTIONS };

static const char *const names[FUNCTIONS] = { "naps_long", "naps_short", "burns_much",
					      "burns_little", "rests", "waits_for_ever",
					      "stands_in_line", "holds_it" };

/* Odd turns: it is being written. */
struct worker {
	pthread_t        thread;
	_Atomic pid_t    tid;
	char             name[16];
	uint64_t         random;
	_Atomic unsigned turn;
	_Atomic int      now;
	_Atomic uint64_t since, spent[FUNCTIONS];
};

static struct worker worker[MAX];
static unsigned workers;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t convoy = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static void enter(struct worker *w, enum function f)
{
	w->turn++;
	w->now = (int)f;
	w->since = ns_of(CLOCK_MONOTONIC);
	w->turn++;
}

static void leave(struct worker *w)
{
	w->turn++;
	w->spent[w->now] += ns_of(CLOCK_MONOTONIC) - w->since;
	w->now = FUNCTIONS;
	w->turn++;
}

static uint64_t draw(struct worker *w, uint64_t lo, uint64_t hi)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return lo + w->random % (hi - lo);
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { 0, (long)ns };

	nanosleep(&t, NULL);
}

/* By the thread's own CPU time, whatever else runs. */
static uint64_t burn_ns(uint64_t ns)
{
	uint64_t end = ns_of(CLOCK_THREAD_CPUTIME_ID) + ns, x = ns;

	do
		for (int i = 0; i < 2000; i++) {
			x = x * UINT64_C(6364136223846793005) + 1;
			__asm__ volatile("" : "+r"(x));
		}
	while (ns_of(CLOCK_THREAD_CPUTIME_ID) < end);
	return x;
}

#define SPENDS(name, f, spend) \
	NOINLINE void name(struct worker *w, uint64_t ns); \
	NOINLINE void name(struct worker *w, uint64_t ns) \
	{ \
		enter(w, f); \
		(void)spend(ns); \
		leave(w); \
		__asm__ volatile("" : : "i"(f) : "memory"); \
	}
SPENDS(naps_long, NAPS_LONG, sleep_ns)
SPENDS(naps_short, NAPS_SHORT, sleep_ns)
SPENDS(burns_much, BURNS_MUCH, burn_ns)
SPENDS(burns_little, BURNS_LITTLE, burn_ns)
SPENDS(rests, RESTS, sleep_ns)

NOINLINE void stands_in_line(struct worker *w);
NOINLINE void stands_in_line(struct worker *w)
{
	enter(w, STANDS);
	pthread_mutex_lock(&convoy);
	leave(w);
}

SPENDS(holds_it, HOLDS, sleep_ns)

NOINLINE void waits_for_ever(struct worker *w);
NOINLINE void waits_for_ever(struct worker *w)
{
	pthread_mutex_lock(&mutex);
	enter(w, WAITS);
	for (;;)
		pthread_cond_wait(&never, &mutex);
}

static struct worker *begins(struct worker *w)
{
	w->tid = gettid();
	return w;
}

static void *naps(void *arg)
{
	for (struct worker *w = begins(arg); w != NULL;) {
		naps_long(w, draw(w, 2 * MS, 12 * MS));
		naps_short(w, draw(w, MS, 3 * MS));
	}
	return NULL;
}

/* Some 60 % of the time, if it gets a CPU: in long bursts and in short ones. */
static void *works(void *arg)
{
	for (struct worker *w = begins(arg); w != NULL;) {
		burns_much(w, draw(w, 3 * MS, 9 * MS));
		rests(w, draw(w, MS, 5 * MS));
		burns_little(w, draw(w, MS, 2 * MS));
		rests(w, draw(w, MS, 3 * MS));
	}
	return NULL;
}

/* Nearly all of them wait nearly always. */
static void *follows(void *arg)
{
	for (struct worker *w = begins(arg); w != NULL;) {
		stands_in_line(w);
		holds_it(w, draw(w, 2 * MS, 6 * MS));
		pthread_mutex_unlock(&convoy);
		sched_yield();
	}
	return NULL;
}

static void *is_parked(void *arg)
{
	waits_for_ever(begins(arg));
	return NULL;
}

static void add(void *(*run)(void *), const char *kind, int n)
{
	for (int i = 0; i < n && workers < MAX; i++) {
		struct worker *w = &worker[workers++];

		snprintf(w->name, sizeof(w->name), "%s-%d", kind, i);
		w->random = 88172645463325252u + 7919u * workers;
		w->now = FUNCTIONS;
		if (pthread_create(&w->thread, NULL, run, w) != 0)
			abort();
		pthread_setname_np(w->thread, w->name);
	}
}

static void add_spent(struct worker *w, uint64_t spent[FUNCTIONS])
{
	uint64_t copy[FUNCTIONS];
	unsigned turn;

	do {
		int now;

		turn = w->turn;
		for (int f = 0; f < FUNCTIONS; f++)
			copy[f] = w->spent[f];
		now = w->now;
		if (now < FUNCTIONS)
			copy[now] += ns_of(CLOCK_MONOTONIC) - w->since;
	} while (turn % 2 != 0 || turn != w->turn);
	for (int f = 0; f < FUNCTIONS; f++)
		spent[f] += copy[f];
}

static unsigned long long waited_ns(const struct worker *w)
{
	unsigned long long waited = 0;
	char path[64];
	FILE *f;

	if (w->tid == 0)
		return 0;               /* it has not begun */
	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", (int)w->tid);
	f = fopen(path, "r");
	if (f == NULL || fscanf(f, "%*u %llu", &waited) != 1)
		abort();
	fclose(f);
	return waited;
}

static void say(void)
{
	uint64_t spent[FUNCTIONS] = { 0 }, begin = ns_of(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < workers; i++)
		add_spent(&worker[i], spent);
	for (int f = 0; f < FUNCTIONS; f++)
		printf("spent %s %llu\n", names[f], (unsigned long long)spent[f]);
	for (unsigned i = 0; i < workers; i++) {
		clockid_t clock;

		pthread_getcpuclockid(worker[i].thread, &clock);
		printf("cpu %s %llu\n", worker[i].name, (unsigned long long)ns_of(clock));
		printf("waited %s %llu\n", worker[i].name, waited_ns(&worker[i]));
	}
	printf("at %llu %llu\nend\n", (unsigned long long)begin, (unsigned long long)ns_of(CLOCK_MONOTONIC));
	fflush(stdout);
}

NOINLINE void obeys(void);
NOINLINE void obeys(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		if (c == '\n')
			say();
}

int main(int argc, char **argv)
{
	add(naps, "napper", argc > 1 ? atoi(argv[1]) : 4);
	add(works, "worker", argc > 2 ? atoi(argv[2]) : 2);
	add(is_parked, "parked", argc > 3 ? atoi(argv[3]) : 3);
	add(follows, "convoy", argc > 4 ? atoi(argv[4]) : 0);
	obeys();
	return 0;
}
