/* lock_storm DIRECTORY [SECONDS] -- thirty-two threads use locks of every kind, allocate while they hold them,
 * load and unload DIRECTORY/lib_0.so to lib_7.so, fork, cancel, and die with a lock.  What a lock guards is
 * counted twice.  Who does nothing for half a minute is stuck: that is said, and the program is aborted. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>

#include "until.h"

enum { THREADS = 32, MUTEXES = 16, STUCK_SECONDS = 30 };

struct worker {
	pthread_t thread;
	const char *role;
	void (*work)(struct worker *w);
	uint64_t random;
	_Atomic uint64_t turns;
};

static struct worker worker[THREADS];
static _Atomic int over;
static const char *directory;

static void fail(const char *what)
{
	printf("wrong: %s\n", what);
	fflush(stdout);
	abort();
}

static unsigned roll(struct worker *w, unsigned n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (unsigned)(w->random >> 33) % n;
}

static const struct timespec *in_us(clockid_t clock, long us)
{
	static __thread struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += us * 1000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return &t;
}

/* --- mutexes ---------------------------------------------------------------------------------- */

static struct guarded {
	pthread_mutex_t m;
	long plain;                     /* by its holder alone */
	_Atomic long counted;
} guarded[MUTEXES];

static void make_mutexes(void)
{
	for (int i = 0; i < MUTEXES; i++) {
		pthread_mutexattr_t a;

		pthread_mutexattr_init(&a);
		pthread_mutexattr_settype(&a, i % 4);
		pthread_mutexattr_setrobust(&a, i / 4 % 2);
		pthread_mutexattr_setprotocol(&a, i / 8);
		if (pthread_mutex_init(&guarded[i].m, &a) != 0)
			fail("pthread_mutex_init");
	}
}

/* False: it was not to be had in time. */
static int has_got(pthread_mutex_t *m, int err)
{
	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(m);
	if (err != 0 && err != EBUSY && err != ETIMEDOUT)
		fail(strerror(err));
	return err == 0;
}

static int lock_somehow(struct worker *w, pthread_mutex_t *m)
{
	switch (roll(w, 6)) {
	case 0:
		return has_got(m, pthread_mutex_trylock(m));
	case 1:
		return has_got(m, pthread_mutex_timedlock(m, in_us(CLOCK_REALTIME, roll(w, 300))));
	case 2:
		return has_got(m, pthread_mutex_clocklock(m, CLOCK_REALTIME, in_us(CLOCK_REALTIME, 100)));
	default:
		return has_got(m, pthread_mutex_lock(m));
	}
}

static void use_mutex(struct worker *w)
{
	struct guarded *g = &guarded[roll(w, MUTEXES)];
	void *volatile p;

	if (!lock_somehow(w, &g->m))
		return;
	g->plain++;
	p = malloc(1 + roll(w, 5000));
	for (unsigned i = roll(w, 200); i > 0; i--)
		__asm__ volatile("");
	if (roll(w, 50) == 0)
		sched_yield();
	free(p);
	g->counted++;
	if (pthread_mutex_unlock(&g->m) != 0)
		fail("pthread_mutex_unlock");
}

/* --- the rest --------------------------------------------------------------------------------- */

static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static long pair_of[2];

static void use_rwlock(struct worker *w)
{
	if (roll(w, 4) == 0) {
		pthread_rwlock_wrlock(&l);
		pair_of[0]++;
		pair_of[1]++;
	} else if (roll(w, 4) == 0) {
		if (pthread_rwlock_timedrdlock(&l, in_us(CLOCK_REALTIME, 200)) != 0)
			return;
	} else {
		pthread_rwlock_rdlock(&l);
	}
	if (pair_of[0] != pair_of[1])
		fail("a reader beside a writer");
	pthread_rwlock_unlock(&l);
}

static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static int queued;

static void produce(struct worker *w)
{
	pthread_mutex_lock(&queue);
	while (queued >= 4 && !over)
		pthread_cond_timedwait(&emptied, &queue, in_us(CLOCK_REALTIME, 1000 + roll(w, 5000)));
	queued++;
	pthread_cond_signal(&filled);
	pthread_mutex_unlock(&queue);
}

static void consume(struct worker *w)
{
	pthread_mutex_lock(&queue);
	while (queued == 0 && !over)
		pthread_cond_clockwait(&filled, &queue, CLOCK_MONOTONIC,
				       in_us(CLOCK_MONOTONIC, 1000 + roll(w, 5000)));
	queued--;
	pthread_cond_broadcast(&emptied);
	pthread_mutex_unlock(&queue);
}

static sem_t there, back;

static void post(struct worker *w)
{
	(void)w;
	sem_post(&there);
	sem_timedwait(&back, in_us(CLOCK_REALTIME, 100000));
}

static void answer(struct worker *w)
{
	(void)w;
	if (sem_clockwait(&there, CLOCK_MONOTONIC, in_us(CLOCK_MONOTONIC, 100000)) == 0)
		sem_post(&back);
}

static pthread_spinlock_t spin;
static mtx_t c11;
static long spun, locked;

static void use_spin(struct worker *w)
{
	(void)w;
	pthread_spin_lock(&spin);
	spun++;
	pthread_spin_unlock(&spin);
	mtx_lock(&c11);
	locked++;
	mtx_unlock(&c11);
	sched_yield();
}

static _Atomic uint32_t word;

static void use_futex(struct worker *w)
{
	uint32_t free_word = 0;
	static long sum;

	(void)w;
	if (!atomic_compare_exchange_strong(&word, &free_word, 1))
		while (atomic_exchange(&word, 2) != 0)
			syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL);
	sum++;
	if (sum % 16 == 0)
		sched_yield();
	if (atomic_exchange(&word, 0) == 2)
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
}

/* --- threads, children, libraries ------------------------------------------------------------- */

static void *die_with_it(void *of)
{
	has_got(of, pthread_mutex_lock(of));
	pthread_exit(NULL);
}

static void unlock(void *m) { pthread_mutex_unlock(m); }

static void *wait_to_be_cancelled(void *of)
{
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
	pthread_mutex_t *m = of;

	pthread_mutex_lock(m);
	pthread_cleanup_push(unlock, m);
	for (;;)
		pthread_cond_wait(&never, m);
	pthread_cleanup_pop(0);
}

static void make_thread(struct worker *w)
{
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_t t;

	if (roll(w, 2) == 0) {
		pthread_create(&t, NULL, die_with_it, &guarded[4 + roll(w, 4)].m);
	} else {
		pthread_create(&t, NULL, wait_to_be_cancelled, &m);
		if (roll(w, 2) == 0)
			usleep(200);
		pthread_cancel(t);
	}
	pthread_join(t, NULL);
}

/* Alone, with locks of its own, and without the heap, which some allocators lose in a fork. */
static void be_child(void)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_rwlock_t r = PTHREAD_RWLOCK_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	sem_t s;
	int bad = 0;

	sem_init(&s, 0, 0);
	for (int i = 0; i < 20; i++) {
		bad |= pthread_mutex_lock(&m);
		bad |= pthread_mutex_timedlock(&m, in_us(CLOCK_REALTIME, 50)) != ETIMEDOUT;
		bad |= pthread_cond_timedwait(&c, &m, in_us(CLOCK_REALTIME, 50)) != ETIMEDOUT;
		bad |= pthread_mutex_unlock(&m) | pthread_rwlock_wrlock(&r) | pthread_rwlock_unlock(&r);
		bad |= sem_timedwait(&s, in_us(CLOCK_REALTIME, 50)) != -1;
	}
	_exit(bad ? 1 : 42);
}

static void make_child(struct worker *w)
{
	int vforks = roll(w, 2) == 0, status = 0;
	pid_t pid = vforks ? vfork() : fork();

	if (pid == 0) {
		if (!vforks)
			be_child();
		pthread_mutex_trylock(&queue) == 0 ? pthread_mutex_unlock(&queue) : 0;
		_exit(42);
	}
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 42))
		fail("a child");
}

static void load(struct worker *w)
{
	char path[4096];
	void *handle;

	snprintf(path, sizeof(path), "%s/lib_%u.so", directory, roll(w, 8));
	handle = dlopen(path, RTLD_NOW);
	if (handle == NULL)
		fail(dlerror());
	use_mutex(w);
	dlclose(handle);
}

/* --- all of it -------------------------------------------------------------------------------- */

static const struct { const char *name; void (*work)(struct worker *); int threads; } roles[] = {
	{ "mutex", use_mutex, 8 }, { "rwlock", use_rwlock, 4 }, { "produce", produce, 2 },
	{ "consume", consume, 2 }, { "post", post, 1 }, { "answer", answer, 1 }, { "spin", use_spin, 2 },
	{ "futex", use_futex, 4 }, { "make a thread", make_thread, 3 }, { "fork", make_child, 3 },
	{ "load", load, 2 },
};

static void *work(void *of)
{
	struct worker *w = of;

	while (!over) {
		w->work(w);
		w->turns++;
	}
	return NULL;
}

/* Until it is over, and all have ended. */
static void watch(void)
{
	uint64_t seen[THREADS] = { 0 };
	time_t since[THREADS], now;

	for (int i = 0; i < THREADS; i++)
		since[i] = time(NULL);
	while (!until_over()) {
		usleep(100000);
		now = time(NULL);
		for (int i = 0; i < THREADS; i++) {
			if (worker[i].turns != seen[i])
				since[i] = now;
			else if (now - since[i] > STUCK_SECONDS)
				fail(worker[i].role);
			seen[i] = worker[i].turns;
		}
	}
}

int main(int argc, char **argv)
{
	int n = 0;

	directory = argc > 1 ? argv[1] : ".";
	until(argc > 2 ? argv[2] : "5");
	make_mutexes();
	pthread_spin_init(&spin, 0);
	mtx_init(&c11, mtx_plain);
	sem_init(&there, 0, 0);
	sem_init(&back, 0, 0);
	for (size_t r = 0; r < sizeof(roles) / sizeof(roles[0]); r++)
		for (int i = 0; i < roles[r].threads; i++, n++) {
			worker[n] = (struct worker){ .role = roles[r].name, .work = roles[r].work,
						     .random = ((uint64_t)n + 1) * UINT64_C(0x9e3779b97f4a7c15) };
			if (pthread_create(&worker[n].thread, NULL, work, &worker[n]) != 0)
				fail("pthread_create");
		}
	watch();
	over = 1;
	alarm(STUCK_SECONDS);
	for (int i = 0; i < n; i++) {
		pthread_join(worker[i].thread, NULL);
		printf("%s %d\n", worker[i].role, worker[i].turns > 0);
	}
	for (int i = 0; i < MUTEXES; i++)
		if (guarded[i].plain != guarded[i].counted)
			fail("two had a mutex");
	if (spun != locked)
		fail("two had a spin lock");
	printf("%d threads, none is stuck\n", n);
	return 0;
}
