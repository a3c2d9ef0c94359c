/* old_conditions -- waits for conditions as a program of 2002 did: of glibc 2.2.5, where a pthread_cond_t is a
 * pointer.  Beside it is what else the program has. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define OLD(name, params)               \
	int old_##name params;          \
	__asm__(".symver old_" #name ", pthread_cond_" #name "@GLIBC_2.2.5")

OLD(init, (void *c, const void *attr));
OLD(wait, (void *c, pthread_mutex_t *m));
OLD(timedwait, (void *c, pthread_mutex_t *m, const struct timespec *until));
OLD(signal, (void *c));
OLD(destroy, (void *c));

static struct { void *condition; uint64_t beside[6]; } old;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static int turn;

static void *wait_turn(void *unused)
{
	pthread_mutex_lock(&m);
	turn = 1;
	while (turn != 2)
		old_wait(&old.condition, &m);
	pthread_mutex_unlock(&m);
	return unused;
}

int main(void)
{
	static const struct timespec past = { 1, 0 };
	pthread_t t;
	int same = 0;

	for (int i = 0; i < 6; i++)
		old.beside[i] = UINT64_C(0x0101010101010100);
	printf("init %d\n", old_init(&old.condition, NULL));
	pthread_mutex_lock(&m);
	printf("timeout %d\n", old_timedwait(&old.condition, &m, &past) == ETIMEDOUT);
	pthread_create(&t, NULL, wait_turn, NULL);
	while (turn != 1) {
		pthread_mutex_unlock(&m);
		pthread_mutex_lock(&m);
	}
	turn = 2;
	printf("signal %d\n", old_signal(&old.condition));
	pthread_mutex_unlock(&m);
	pthread_join(t, NULL);
	for (int i = 0; i < 6; i++)
		same += old.beside[i] == UINT64_C(0x0101010101010100);
	printf("%d of 6 are the same, destroy %d\n", same, old_destroy(&old.condition));
	return 0;
}
