/* malloc_semantics [apart] -- every promise of the malloc family, at its edges.  Prints one line a promise.
 * apart: what no allocator promises is asked for in a child each time, as some crash. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The compiler must not know what these are. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void *(*volatile do_reallocarray)(void *, size_t, size_t) = reallocarray;
static void *(*volatile do_memalign)(size_t, size_t) = memalign;
static void *(*volatile do_aligned_alloc)(size_t, size_t) = aligned_alloc;
static void *(*volatile do_valloc)(size_t) = valloc;
static void *(*volatile do_pvalloc)(size_t) = pvalloc;
static void (*volatile do_free)(void *) = free;

static char *from_constructor;

__attribute__((constructor)) static void early(void)
{
	from_constructor = do_malloc(100000);
	strcpy(from_constructor, "allocated in a constructor");
	do_free(do_malloc(17));
}

__attribute__((destructor)) static void late(void)
{
	char *p = do_malloc(3000000);

	memset(p, 1, 3000000);
	do_free(p);
	do_free(from_constructor);
}

static void at_the_end(void)
{
	char *p = do_malloc(600000);

	snprintf(p, 600000, "allocated in an atexit handler");
	puts(p);
	do_free(p);
}

#define SAY(...) printf(__VA_ARGS__), putchar('\n')

static int aligned(const void *p, size_t to) { return p != NULL && (uintptr_t)p % to == 0; }

static int all_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return 0;
	return 1;
}

static void *free_it(void *p)
{
	do_free(p);
	return NULL;
}

static pthread_key_t key;

static void key_gone(void *p)
{
	char *q = do_malloc(100000);

	do_free(p);
	memset(q, 2, 100000);
	/* A second round of destructors. */
	if (*(char *)q == 2 && pthread_getspecific(key) == NULL && p != NULL) {
		static int rounds;

		if (++rounds < 3) {
			pthread_setspecific(key, q);
			return;
		}
	}
	do_free(q);
}

static void *with_key(void *unused)
{
	pthread_setspecific(key, do_malloc(200000));
	return unused;
}

/* --- what depends on the allocator: with us it is what it is without ----------------------------- */

static int apart;

/* True: go on, and call end. */
static int begin(void)
{
	int status;
	pid_t child;

	if (!apart)
		return 1;
	fflush(stdout);
	child = fork();
	if (child == 0)
		return 1;
	if (waitpid(child, &status, 0) != child || status != 0)
		SAY("a child's status was %d", status);
	return 0;
}

static void end(void)
{
	if (!apart)
		return;
	fflush(stdout);
	_exit(0);
}

/* A block, and what errno became. */
#define OUTCOME(says, call) \
	do { \
		if (!begin()) \
			break; \
		errno = 4711; \
		void *volatile got = call; \
		int err = errno; \
\
		SAY("%s: block %d, errno %d", says, got != NULL, err); \
		do_free(got); \
		end(); \
	} while (0)

static void say_posix_memalign(size_t to, size_t n)
{
	void *a = NULL;
	int err;

	if (!begin())
		return;
	errno = 4711;
	err = posix_memalign(&a, to, n);
	SAY("posix_memalign(%zu, %zu): block %d, returned %d, errno %d", to, n, a != NULL, err, errno);
	do_free(a);
	end();
}

static void say_odd_arguments(void)
{
	static const size_t to[] = { 0, 1, 2, 3, 8, 24, 48, 100, 4097, (size_t)1 << 62, SIZE_MAX / 2 + 2,
				     SIZE_MAX };
	size_t most = PTRDIFF_MAX;
	char says[64];

	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		for (size_t n = 0; n < 40; n += 13) {
			snprintf(says, sizeof(says), "memalign(%zu, %zu)", to[i], n);
			OUTCOME(says, do_memalign(to[i], n));
			snprintf(says, sizeof(says), "aligned_alloc(%zu, %zu)", to[i], n);
			OUTCOME(says, do_aligned_alloc(to[i], n));
			say_posix_memalign(to[i], n);
		}
	OUTCOME("malloc(PTRDIFF_MAX)", do_malloc(most));
	OUTCOME("malloc(PTRDIFF_MAX + 1)", do_malloc(most + 1));
	OUTCOME("malloc(SIZE_MAX)", do_malloc(SIZE_MAX));
	OUTCOME("calloc(0, 0)", do_calloc(0, 0));
	OUTCOME("calloc(0, SIZE_MAX)", do_calloc(0, SIZE_MAX));
	OUTCOME("calloc(1 << 32, 1 << 32)", do_calloc((size_t)1 << 32, (size_t)1 << 32));
	OUTCOME("calloc(SIZE_MAX, 1)", do_calloc(SIZE_MAX, 1));
	OUTCOME("realloc(NULL, 0)", do_realloc(NULL, 0));
	OUTCOME("realloc(NULL, SIZE_MAX)", do_realloc(NULL, SIZE_MAX));
	OUTCOME("realloc(p, 0)", do_realloc(do_malloc(100), 0));
	OUTCOME("realloc(large p, 0)", do_realloc(do_malloc(1000000), 0));
	OUTCOME("reallocarray(NULL, 0, 0)", do_reallocarray(NULL, 0, 0));
	OUTCOME("reallocarray(p, 0, 9)", do_reallocarray(do_malloc(100), 0, 9));
	OUTCOME("reallocarray(NULL, 1 << 33, 1 << 31)",
		do_reallocarray(NULL, (size_t)1 << 33, (size_t)1 << 31));
	OUTCOME("reallocarray(p, 7, 9)", do_reallocarray(do_malloc(10), 7, 9));
	OUTCOME("valloc(0)", do_valloc(0));
	OUTCOME("pvalloc(0)", do_pvalloc(0));
	OUTCOME("valloc(SIZE_MAX)", do_valloc(SIZE_MAX));
	OUTCOME("free(NULL)", (do_free(NULL), NULL));
}

/* The same blocks as without us: how large they really are, and which of them need not move.  On a
 * thread, because libc gives that a heap in which nothing was yet. */
static void *say_layout(void *unused)
{
	uint64_t usable = 0, state = 1;
	unsigned in_place = 0, resized = 0;
	char *block[500] = { NULL };

	for (unsigned i = 0; i < 100000; i++) {
		unsigned k = (unsigned)((state = state * 6364136223846793005u + 1) >> 33) % 500;
		size_t n = (size_t)(state >> 40) % (i % 100 == 0 ? 300000 : 3000);
		char *was = block[k];

		if (was != NULL && i % 3 != 0) {
			do_free(was);
			block[k] = NULL;
			continue;
		}
		block[k] = was != NULL ? do_realloc(was, n + 1) : i % 7 != 0 ? do_malloc(n)
									     : do_memalign(64, n);
		resized += was != NULL;
		in_place += was != NULL && block[k] == was;
		usable = usable * 31 + malloc_usable_size(block[k]);
	}
	for (unsigned k = 0; k < 500; k++)
		do_free(block[k]);
	SAY("usable sizes %llx, %u of %u stay where they are", (unsigned long long)usable, in_place, resized);
	return unused;
}

/* Each block is cut out of another one that was aligned, and gives room to the next. */
static int memalign_chain(void)
{
	char *kept[64];
	int ok = 1;

	for (int round = 0; round < 30; round++) {
		for (size_t i = 0; i < 64; i++) {
			size_t to = (size_t)16 << (i * 5 % 13), n = 1 + i * 331;

			kept[i] = do_memalign(to, n);
			ok &= aligned(kept[i], to) && malloc_usable_size(kept[i]) >= n;
			memset(kept[i], (int)i, n);
			if (i % 3 != 0)
				continue;
			kept[i] = do_realloc(kept[i], n + 5000);
			ok &= kept[i][0] == (char)i && kept[i][n - 1] == (char)i;
		}
		for (size_t i = 0; i < 64; i++) {
			size_t k = i * 37 % 64;

			ok &= kept[k][0] == (char)k && kept[k][k * 331] == (char)k;
			do_free(kept[k]);
		}
	}
	return ok;
}

/* Whether a call that works leaves errno as it was, small blocks and large ones. */
static int keeps_errno(void)
{
	int ok = 1;

	for (size_t n = 1; n < 1000000; n = n * 3 + 1) {
		void *p[6], *a = NULL;

		errno = 4711;
		p[0] = do_malloc(n);
		p[1] = do_calloc(n, 2);
		p[2] = do_memalign(64, n);
		p[3] = do_realloc(do_malloc(n), n * 2);
		p[4] = do_reallocarray(NULL, n, 2);
		p[5] = posix_memalign(&a, 64, n) == 0 ? a : NULL;
		for (int i = 0; i < 6; i++) {
			ok &= p[i] != NULL;
			do_free(p[i]);
		}
		do_free(NULL);
		ok &= errno == 4711;
	}
	return ok;
}

static void say_pages(void)
{
	char *p = do_valloc(100), *q = do_pvalloc(100);

	SAY("valloc %d, pvalloc %d usable %d", aligned(p, 4096), aligned(q, 4096), malloc_usable_size(q) >= 4096);
	memset(q, 1, 4096);
	do_free(p);
	do_free(q);
	errno = 0;
	p = do_pvalloc(SIZE_MAX - 96);
	SAY("pvalloc(huge): block %d, ENOMEM %d", p != NULL, errno == ENOMEM);
}

int main(int argc, char **argv)
{
	size_t huge = SIZE_MAX - 4096, half = SIZE_MAX / 2;
	struct rlimit no_core = { 0, 0 };
	char *p, *q;
	void *a = NULL;
	pthread_t t;
	int ok;

	apart = argc > 1 && strcmp(argv[1], "apart") == 0;
	setrlimit(RLIMIT_CORE, &no_core);
	atexit(at_the_end);
	SAY("%s", from_constructor);
	pthread_create(&t, NULL, say_layout, NULL);
	pthread_join(t, NULL);
	say_odd_arguments();
	SAY("a chain of memalign: %d", memalign_chain());
	SAY("errno is kept by what works: %d", keeps_errno());

	p = do_malloc(0);
	SAY("malloc(0): block %d, usable %d", p != NULL, malloc_usable_size(p) >= 1);
	q = do_malloc(0);
	SAY("twice: distinct %d", p != q);
	do_free(p);
	do_free(q);
	do_free(NULL);
	SAY("malloc_usable_size(NULL) %zu", malloc_usable_size(NULL));

	errno = 0;
	p = do_malloc(huge);
	SAY("malloc(huge): block %d, ENOMEM %d", p != NULL, errno == ENOMEM);
	errno = 0;
	p = do_calloc(half, 3);
	SAY("calloc overflow: block %d, ENOMEM %d", p != NULL, errno == ENOMEM);
	errno = 0;
	p = do_calloc(huge, 1);
	SAY("calloc(huge): block %d, ENOMEM %d", p != NULL, errno == ENOMEM);
	errno = 0;
	p = do_reallocarray(NULL, half, 3);
	SAY("reallocarray overflow: block %d, ENOMEM %d", p != NULL, errno == ENOMEM);

	ok = 1;
	for (int round = 0; round < 200; round++) {
		size_t n = 1 + (size_t)round * 997;

		p = do_malloc(n);
		memset(p, 0xff, n);
		do_free(p);
		p = do_calloc(1, n);
		ok &= all_zero(p, n);
		memset(p, 0xff, n);
		do_free(p);
	}
	SAY("calloc is zero: %d", ok);

	ok = 1;
	for (size_t n = 1; n < 3000000; n = n * 5 / 3 + 1) {
		p = do_malloc(n);
		ok &= aligned(p, 16) && malloc_usable_size(p) >= n;
		memset(p, 7, malloc_usable_size(p));
		do_free(p);
	}
	SAY("malloc: aligned, all usable bytes writable: %d", ok);

	p = do_malloc(1000);
	memset(p, 5, 1000);
	errno = 0;
	q = do_realloc(p, huge);
	SAY("realloc(huge): block %d, ENOMEM %d, old kept %d", q != NULL, errno == ENOMEM,
	    p[0] == 5 && p[999] == 5);
	errno = 0;
	q = do_reallocarray(p, half, 4);
	SAY("reallocarray overflow: block %d, ENOMEM %d, old kept %d", q != NULL, errno == ENOMEM,
	    p[0] == 5 && p[999] == 5);
	q = do_realloc(p, 0);
	SAY("realloc(p, 0): block %d", q != NULL);
	q = do_realloc(NULL, 50);
	SAY("realloc(NULL, 50): block %d", q != NULL);
	do_free(q);

	ok = 1;
	p = NULL;
	for (size_t n = 1, old = 0; n < 20000000; old = n, n = n * 3 / 2 + 1) {
		p = do_realloc(p, n);
		for (size_t i = 0; i < old; i += 61)
			ok &= (unsigned char)p[i] == (unsigned char)(i * 7);
		for (size_t i = 0; i < n; i += 61)
			p[i] = (char)(i * 7);
	}
	for (size_t n = 10000000; n > 0; n /= 3) {
		p = do_realloc(p, n);
		for (size_t i = 0; i < n; i += 61)
			ok &= (unsigned char)p[i] == (unsigned char)(i * 7);
	}
	do_free(p);
	SAY("realloc keeps the contents, up and down: %d", ok);

	ok = 1;
	for (size_t to = sizeof(void *); to <= 1 << 20; to *= 2)
		for (size_t n = 1; n < 100000; n = n * 7 + 1) {
			ok &= posix_memalign(&a, to, n) == 0 && aligned(a, to);
			memset(a, 1, n);
			do_free(a);
			a = aligned_alloc(to, n);
			ok &= aligned(a, to);
			memset(a, 1, n);
			do_free(a);
			a = memalign(to, n);
			ok &= aligned(a, to) && malloc_usable_size(a) >= n;
			memset(a, 1, n);
			a = do_realloc(a, n * 2);
			ok &= a != NULL;
			do_free(a);
		}
	SAY("posix_memalign, aligned_alloc, memalign: %d", ok);
	a = &ok;
	errno = 4711;
	SAY("posix_memalign errors: %d %d %d %d, untouched %d, errno %d", posix_memalign(&a, 3, 10),
	    posix_memalign(&a, 4, 10), posix_memalign(&a, 24, 10), posix_memalign(&a, 16, huge),
	    a == &ok, errno == 4711 || errno == ENOMEM);
	errno = 0;
	p = do_memalign(64, huge);
	SAY("memalign(huge): block %d, ENOMEM %d", p != NULL, errno == ENOMEM);
	errno = 0;
	p = do_aligned_alloc(64, huge);
	SAY("aligned_alloc(huge): block %d, ENOMEM %d", p != NULL, errno == ENOMEM);
	/* jemalloc has no pvalloc: that is libc's then, and free is not. */
	if (begin()) {
		say_pages();
		end();
	}

	ok = 1;
	for (int i = 0; i < 300; i++) {
		p = do_malloc((size_t)i * 1000);
		ok &= pthread_create(&t, NULL, free_it, p) == 0 && pthread_join(t, NULL) == 0;
	}
	SAY("freed on other threads: %d", ok);
	pthread_key_create(&key, key_gone);
	for (int i = 0; i < 5; i++)
		ok &= pthread_create(&t, NULL, with_key, NULL) == 0 && pthread_join(t, NULL) == 0;
	SAY("malloc and free in thread destructors: %d", ok);

	errno = 4711;
	p = do_malloc(3000000);
	do_free(p);
	SAY("errno after malloc and free: %d", errno == 4711);
	return 0;
}
