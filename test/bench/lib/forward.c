/* The floor under every library that has doors at locks: they do nothing but jump on. */
#include <dlfcn.h>
#include <pthread.h>

#define DOOR(name, type)                                                 \
	static int first_##name(type *lock);                             \
	static int (*real_##name)(type *) = first_##name;                \
	static int first_##name(type *lock)                              \
	{                                                                \
		*(void **)&real_##name = dlsym(RTLD_NEXT, #name);        \
		return real_##name(lock);                                \
	}                                                                \
	int name(type *lock) { return real_##name(lock); }

DOOR(pthread_mutex_lock, pthread_mutex_t)
DOOR(pthread_mutex_unlock, pthread_mutex_t)
DOOR(pthread_rwlock_rdlock, pthread_rwlock_t)
DOOR(pthread_rwlock_wrlock, pthread_rwlock_t)
DOOR(pthread_rwlock_unlock, pthread_rwlock_t)
