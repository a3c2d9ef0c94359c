/* writers_between -- a library that wraps pthread_rwlock_wrlock, and not the function that only tries. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

typedef int wrlock(pthread_rwlock_t *l);

static int calls;

int pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	wrlock *libcs;

	*(void **)&libcs = dlsym(RTLD_NEXT, "pthread_rwlock_wrlock");
	calls++;
	return libcs(l);
}

__attribute__((destructor)) static void say_calls(void)
{
	static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;

	for (int i = 0; i < 3; i++) {
		pthread_rwlock_wrlock(&l);
		pthread_rwlock_unlock(&l);
	}
	printf("%d calls\n", calls);
}
