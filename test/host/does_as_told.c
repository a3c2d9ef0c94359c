/* does_as_told -- a line on its input, some work in a function of a name that is known, "done".  What it
 * does go_server/main.go does in Go, with functions of the same names.
 *
 *	keep COUNT SIZE   keep_blocks: so many blocks more, which live for ever
 *	late COUNT SIZE   late_blocks: the same from another place, by a call of keep_inlined that is inlined
 *	drop COUNT SIZE   drop_blocks: allocated and given back
 *	fight COUNT US    gives_back lets waits_for_it wait so often, so long; says "waited LEAST MOST":
 *	                  ns, of the one from when the other waited, of the other all of its call
 *	spin COUNT, rest  so many threads (1) are busy in spin_here, until they may rest
 *
 * A thread waits in waits_for_ever all the time.  Without input it ends at once. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define KEPT_MAX 100000
#define SPINNERS_MAX 8UL

static void *kept[KEPT_MAX];
static unsigned long kept_count;
static void *volatile dropped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t never_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t held;
static long held_ns;
static atomic_int spinning;
static pthread_t spinners[SPINNERS_MAX];
static unsigned long spinner_count;

NOINLINE void *keep_one(size_t size);
NOINLINE void keep_blocks(unsigned long count, size_t size);
NOINLINE void late_blocks(unsigned long count, size_t size);
NOINLINE void drop_blocks(unsigned long count, size_t size);
NOINLINE void gives_back(unsigned long us);
NOINLINE long waits_for_it(void);
NOINLINE void spin_here(void);
NOINLINE void waits_for_ever(void);

NOINLINE void *keep_one(size_t size)
{
	void *p = malloc(size);

	if (p == NULL || kept_count == KEPT_MAX)
		abort();
	return kept[kept_count++] = p;
}

NOINLINE void keep_blocks(unsigned long count, size_t size)
{
	while (count-- > 0)
		keep_one(size);
}

static inline __attribute__((always_inline)) void keep_inlined(size_t size)
{
	keep_one(size);
}

NOINLINE void late_blocks(unsigned long count, size_t size)
{
	while (count-- > 0)
		keep_inlined(size);
}

NOINLINE void drop_blocks(unsigned long count, size_t size)
{
	while (count-- > 0) {
		dropped = malloc(size);
		free(dropped);
	}
}

static void pass(unsigned long us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

/* glibc writes this when somebody waits. */
static int is_wanted(void)
{
	return __atomic_load_n(&lock.__data.__lock, __ATOMIC_SEQ_CST) == 2;
}

/* Holds the lock from before the other wants it until long after that waits, whenever this is. */
NOINLINE void gives_back(unsigned long us)
{
	long begin;

	pthread_mutex_lock(&lock);
	sem_post(&held);
	while (!is_wanted())
		pass(50);
	begin = now();
	pass(us);
	held_ns += now() - begin;
	pthread_mutex_unlock(&lock);
	__asm__ volatile("");
}

NOINLINE long waits_for_it(void)
{
	long begin = now();

	pthread_mutex_lock(&lock);
	begin = now() - begin;
	pthread_mutex_unlock(&lock);
	return begin;
}

static void *holder(void *us)
{
	gives_back(*(unsigned long *)us);
	return NULL;
}

static void fight(unsigned long count, unsigned long us)
{
	pthread_t t;
	long waited = 0;

	held_ns = 0;
	for (; count > 0 && pthread_create(&t, NULL, holder, &us) == 0; count--) {
		sem_wait(&held);
		waited += waits_for_it();
		pthread_join(t, NULL);
	}
	printf("waited %ld %ld\n", held_ns, waited);
}

NOINLINE void spin_here(void)
{
	volatile unsigned long x = 1;

	while (spinning)
		for (int i = 0; i < 10000; i++)
			x = x * 3 + 1;
}

static void *spinner(void *unused)
{
	spin_here();
	return unused;
}

NOINLINE void waits_for_ever(void)
{
	pthread_mutex_lock(&never_lock);
	for (;;)
		pthread_cond_wait(&never, &never_lock);
}

static void spin(unsigned long count)
{
	for (; spinner_count < count; spinner_count++)
		if (pthread_create(&spinners[spinner_count], NULL, spinner, NULL) != 0)
			abort();
}

static void rest(void)
{
	while (spinner_count > 0)
		pthread_join(spinners[--spinner_count], NULL);
}

static void *waiter(void *unused)
{
	waits_for_ever();
	return unused;
}

static NOINLINE int do_as_told(const char *what, unsigned long a, unsigned long b)
{
	if (strcmp(what, "keep") == 0) {
		keep_blocks(a, b);
	} else if (strcmp(what, "late") == 0) {
		late_blocks(a, b);
	} else if (strcmp(what, "drop") == 0) {
		drop_blocks(a, b);
	} else if (strcmp(what, "fight") == 0) {
		fight(a, b);
	} else if (strcmp(what, "spin") == 0 && !spinning && a <= SPINNERS_MAX) {
		spinning = 1;
		spin(a > 0 ? a : 1);
	} else if (strcmp(what, "rest") == 0 && spinning) {
		spinning = 0;
		rest();
	} else {
		return 0;
	}
	return 1;
}

int main(void)
{
	static char line[100];
	char what[32];
	unsigned long a, b;
	pthread_t t;

	if (pthread_create(&t, NULL, waiter, NULL) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		a = b = 0;
		if (sscanf(line, "%31s %lu %lu", what, &a, &b) >= 1 && do_as_told(what, a, b))
			puts("done");
		else
			puts("what?");
		fflush(stdout);
	}
	return 0;
}
