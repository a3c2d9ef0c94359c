/* conditions_between -- a library that wraps a function of libc which has two versions, and knows of none. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

typedef int timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until);

static int calls;

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
	timedwait *libcs;

	*(void **)&libcs = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	calls++;
	return libcs(c, m, until);
}

__attribute__((destructor)) static void say_calls(void)
{
	static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	static const struct timespec past = { 1, 0 };

	pthread_mutex_lock(&m);
	for (int i = 0; i < 3; i++)
		pthread_cond_timedwait(&c, &m, &past);
	printf("%d calls\n", calls);
}
