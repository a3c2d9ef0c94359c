/* lock_no_wait -- locks that look held and are not waited for: the caller has them, or is refused at once, or
 * others hold them in a way that lets it in.  Waits for its input's end. */
#include <linux/futex.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "lock_say.h"

static pthread_mutex_t held[64];
static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER, mine = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static int word = 1;

/* Held by this thread: recursive and error-checking ones, of every other kind. */
static int make(void)
{
	int n = 0;

	for (int type = PTHREAD_MUTEX_RECURSIVE; type <= PTHREAD_MUTEX_ERRORCHECK; type++)
		for (int i = 0; i < 12; i++, n++) {
			pthread_mutexattr_t a;

			pthread_mutexattr_init(&a);
			pthread_mutexattr_settype(&a, type);
			pthread_mutexattr_setrobust(&a, i % 2);
			pthread_mutexattr_setprotocol(&a, i / 4);
			pthread_mutexattr_setpshared(&a, i / 2 % 2);
			pthread_mutexattr_setprioceiling(&a, 1);
			if (pthread_mutex_init(&held[n], &a) != 0 || pthread_mutex_lock(&held[n]) != 0)
				n--;
		}
	return n;
}

static int do_all(void *of)
{
	int n = make(), refused = 0, *writes = of;

	for (int turn = 0; turn < 100; turn++) {
		for (int i = 0; i < n; i++)
			if (pthread_mutex_lock(&held[i]) == 0)
				pthread_mutex_unlock(&held[i]);
			else
				refused++;
		pthread_rwlock_rdlock(&l);
		pthread_rwlock_unlock(&l);
		*writes += pthread_rwlock_wrlock(&mine) == EDEADLK;
		*writes += pthread_rwlock_rdlock(&mine) == EDEADLK;
		sem_post(&s);
		sem_wait(&s);
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, NULL);
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
	}
	return refused;
}

int main(void)
{
	int writes = 0, refused;

	sem_init(&s, 0, 0);
	pthread_rwlock_rdlock(&l);
	pthread_rwlock_wrlock(&mine);
	subject = "refused";
	refused = do_all(&writes);
	say("%d, %d", refused > 0, writes);
	say("ready");
	while (getchar() != EOF)
		;
	return 0;
}
