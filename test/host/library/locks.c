/* locks -- a library whose constructor and destructor use every lock, each of them free and held. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

void use_locks(const char *where);

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
		       checks = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static const struct timespec past = { 1, 0 };

static int mutexes(void)
{
	int sum = pthread_mutex_lock(&m);

	sum = sum * 10 + (pthread_mutex_timedlock(&m, &past) == ETIMEDOUT);
	sum = sum * 10 + (pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &past) == ETIMEDOUT);
	sum = sum * 10 + pthread_mutex_unlock(&m);
	sum = sum * 10 + pthread_mutex_lock(&recursive) + pthread_mutex_lock(&recursive);
	sum = sum * 10 + pthread_mutex_unlock(&recursive) + pthread_mutex_unlock(&recursive);
	sum = sum * 10 + pthread_mutex_lock(&checks);
	sum = sum * 10 + (pthread_mutex_lock(&checks) == EDEADLK);
	sum = sum * 10 + pthread_mutex_unlock(&checks);
	return sum * 10 + (pthread_mutex_unlock(&checks) == EPERM);
}

static int rwlocks(void)
{
	int sum = pthread_rwlock_rdlock(&l);

	sum = sum * 10 + (pthread_rwlock_timedwrlock(&l, &past) == ETIMEDOUT);
	sum = sum * 10 + pthread_rwlock_unlock(&l);
	sum = sum * 10 + pthread_rwlock_wrlock(&l);
	sum = sum * 10 + (pthread_rwlock_timedrdlock(&l, &past) == EDEADLK);
	sum = sum * 10 + (pthread_rwlock_clockwrlock(&l, CLOCK_MONOTONIC, &past) == EDEADLK);
	return sum * 10 + pthread_rwlock_unlock(&l);
}

static int pauses(void)
{
	pthread_barrier_t b;
	sem_t s;
	int sum = pthread_mutex_lock(&m);

	sum = sum * 10 + (pthread_cond_timedwait(&c, &m, &past) == ETIMEDOUT);
	sum = sum * 10 + (pthread_cond_clockwait(&c, &m, CLOCK_MONOTONIC, &past) == ETIMEDOUT);
	sum = sum * 10 + pthread_mutex_unlock(&m);
	sem_init(&s, 0, 1);
	sum = sum * 10 + (sem_wait(&s) == 0);
	sum = sum * 10 + (sem_timedwait(&s, &past) < 0 && errno == ETIMEDOUT);
	pthread_barrier_init(&b, NULL, 1);
	return sum * 10 + (pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD);
}

static int others(void)
{
	pthread_spinlock_t spin;
	mtx_t t;
	cnd_t n;
	int word = 2, sum;

	mtx_init(&t, mtx_timed);
	cnd_init(&n);
	sum = mtx_lock(&t) == thrd_success;
	sum = sum * 10 + (mtx_timedlock(&t, &past) == thrd_timedout);
	sum = sum * 10 + (cnd_timedwait(&n, &t, &past) == thrd_timedout);
	sum = sum * 10 + (mtx_unlock(&t) == thrd_success);
	pthread_spin_init(&spin, 0);
	sum = sum * 10 + pthread_spin_lock(&spin) + pthread_spin_unlock(&spin);
	for (int i = 0; i < 8; i++)
		if (syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 2, &past, NULL, 1) != -1 ||
		    errno != ETIMEDOUT)
			sum = -1;
	return sum * 10 + (syscall(SYS_futex, &word, FUTEX_WAKE, 1) == 0);
}

/* Also where stdio may not be used. */
void use_locks(const char *where)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%s: %010d %07d %07d %06d\n", where, mutexes(), rwlocks(),
			 pauses(), others());

	if (write(STDOUT_FILENO, text, (size_t)n) != n)
		_exit(1);
}

__attribute__((constructor)) static void early(void) { use_locks("a library's constructor"); }
__attribute__((destructor)) static void late(void) { use_locks("a library's destructor"); }
