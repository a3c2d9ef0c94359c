/* threads_deadlock -- two threads, each with a mutex that the other wants; and a third that stands behind
 * them.  A global one by its name, the other on the heap. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t *right_lock;
static pthread_barrier_t both;

__attribute__((noinline)) void left_wants_right(void)
{
	pthread_mutex_lock(right_lock);
	__asm__ volatile("");
}

__attribute__((noinline)) void right_wants_left(void)
{
	pthread_mutex_lock(&left_lock);
	__asm__ volatile("");
}

static void *left(void *unused)
{
	pthread_setname_np(pthread_self(), "left");
	pthread_mutex_lock(&left_lock);
	pthread_barrier_wait(&both);
	left_wants_right();
	return unused;
}

static void *right(void *unused)
{
	pthread_setname_np(pthread_self(), "right, [odd]");
	pthread_mutex_lock(right_lock);
	pthread_barrier_wait(&both);
	right_wants_left();
	return unused;
}

static void *third(void *unused)
{
	pthread_setname_np(pthread_self(), "third");
	right_wants_left();
	return unused;
}

int main(void)
{
	pthread_t t;

	right_lock = malloc(sizeof(*right_lock));
	pthread_mutex_init(right_lock, NULL);
	pthread_barrier_init(&both, NULL, 3);
	pthread_create(&t, NULL, left, NULL);
	pthread_create(&t, NULL, right, NULL);
	pthread_barrier_wait(&both);
	pthread_create(&t, NULL, third, NULL);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
