/* interpose -- another preload: its own malloc and friends in front of the next ones, as tools have
 * them.  The real ones are found by dlsym at the first call, with a pool for the time until then.
 * Who calls a public name from inside a function that was called from here comes back for ever.
 * -DWIDE: also open, read, write, getenv and pthread_mutex_lock, which allocate. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Alignas(16) char pool[1 << 16];
static size_t used;
static int looking;
static long calls;
static _Thread_local int depth __attribute__((tls_model("initial-exec")));

static void *from_pool(size_t n)
{
	char *p = pool + used;

	used += (n + 15) & ~(size_t)15;
	if (used > sizeof(pool))
		_exit(98);
	return p;
}

static void *next(const char *name)
{
	void *p;

	looking++;
	p = dlsym(RTLD_NEXT, name);
	looking--;
	return p;
}

#define NEXT(name)                                                \
	static __typeof__(name) *next_##name;                     \
	if (next_##name == NULL)                                  \
		*(void **)&next_##name = next(#name)

static void enter(const char *name)
{
	if (++depth > 50) {
		dprintf(2, "%s comes back again and again\n", name);
		_exit(97);
	}
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t n)
{
	void *p;

	if (looking)
		return from_pool(n);
	NEXT(malloc);
	enter("malloc");
	p = next_malloc(n);
	depth--;
	return p;
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = SIZE_MAX;
	p = malloc(bytes);
	return p != NULL ? memset(p, 0, bytes) : NULL;
}

void free(void *p)
{
	if ((char *)p >= pool && (char *)p < pool + sizeof(pool))
		return;
	NEXT(free);
	enter("free");
	next_free(p);
	depth--;
}

void *realloc(void *p, size_t n)
{
	void *q;

	NEXT(realloc);
	enter("realloc");
	q = next_realloc(p, n);
	depth--;
	return q;
}

void *reallocarray(void *p, size_t n, size_t size)
{
	void *q;

	NEXT(reallocarray);
	enter("reallocarray");
	q = next_reallocarray(p, n, size);
	depth--;
	return q;
}

#ifdef WIDE
static void allocate(void)
{
	char *volatile p = malloc(1000);

	memset(p, 7, 1000);
	free(p);
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	NEXT(openat);
	allocate();
	return next_openat(AT_FDCWD, path, flags, mode);
}

ssize_t read(int fd, void *to, size_t n)
{
	NEXT(read);
	allocate();
	return next_read(fd, to, n);
}

ssize_t write(int fd, const void *from, size_t n)
{
	NEXT(write);
	allocate();
	return next_write(fd, from, n);
}

char *getenv(const char *name)
{
	NEXT(getenv);
	allocate();
	return next_getenv(name);
}

/* Finding the next one takes the loader's lock by a name of its own. */
int pthread_mutex_lock(pthread_mutex_t *m)
{
	NEXT(pthread_mutex_lock);
	enter("pthread_mutex_lock");
	allocate();
	depth--;
	return next_pthread_mutex_lock(m);
}
#endif

__attribute__((destructor)) static void at_the_end(void)
{
	if (calls == 0)
		dprintf(2, "the interposer was never called\n");
}
