/* heap_threads SECONDS [BLOCKS] [HOW] -- sixteen threads allocate in every way, resize and free each
 * other's blocks, end and are born again, and count what they do: by site and size.
 * BLOCKS: how many live at once, at most (4096).  HOW has letters:
 *   a  all threads share one arena
 *   b  some blocks are freed by __libc_free, past every door; no thread ends meanwhile
 * Prints "truth SITE SIZE ALLOCATED LIVE" and "ready"; after a line of input frees all, prints the same
 * again, and waits for the end of its input.
 *
 * A block freed past the doors lives, for a profile, until a door gives out its address again: here, too
 * ("bypassed N, back M").  Any other thing that it allocates itself is allocated before it begins. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "until.h"

#define CALLED __attribute__((noinline, noclone))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

enum { THREADS = 16, OPS_OF_A_LIFE = 20000, SLOTS_MAX = 1 << 16, TEXT_MAX = 4096 };

void __libc_free(void *p);

static void fail(const char *what)
{
	printf("wrong: %s\n", what);
	fflush(stdout);
	abort();
}

/* --- sites ------------------------------------------------------------------------------------ */

static char text[TEXT_MAX];

/* libc's own call of malloc, where a text may be as long. */
static void *copy(size_t n)
{
	return n == 0 || n > TEXT_MAX ? malloc(n) : strdup(text + TEXT_MAX - n);
}

static void *aligned(size_t to, size_t n)
{
	void *p = NULL;

	return posix_memalign(&p, to, n) == 0 ? p : NULL;
}

#define SITES(X)                                        \
	X(by_malloc, malloc(n))                         \
	X(by_calloc, calloc(1, n))                      \
	X(by_realloc, realloc(NULL, n))                 \
	X(by_reallocarray, reallocarray(NULL, n, 1))    \
	X(by_memalign, memalign(64, n))                 \
	X(by_aligned_alloc, aligned_alloc(256, n))      \
	X(by_posix_memalign, aligned(4096, n))          \
	X(by_valloc, valloc(n))                         \
	X(by_libc, copy(n))                             \
	X(by_resize, realloc(p, n))                     \
	X(by_resize_array, reallocarray(p, 1, n))

#define X(name, call)                           \
	CALLED void *name(void *p, size_t n);   \
	CALLED void *name(void *p, size_t n)    \
	{                                       \
		void *q;                        \
						\
		(void)p;                        \
		q = call;                       \
		if (q == NULL)                  \
			fail(#name);            \
		return q;                       \
	}
SITES(X)
#undef X

enum { BY_CALLOC = 1, RESIZERS = 2 };

static const struct {
	const char *name;
	void *(*take)(void *p, size_t n);
} sites[] = {
#define X(name, call) { #name, name },
	SITES(X)
#undef X
};

/* Small ones more often; the last is one that libc maps. */
static const size_t sizes[] = { 0, 1, 16, 24, 100, 264, 24, 1000, 2100, 100, 4096, 264, 10000, 40000,
				150000, 1 };

/* --- the truth -------------------------------------------------------------------------------- */

static _Atomic unsigned long allocated[COUNT_OF(sites)][COUNT_OF(sizes)];
static _Atomic unsigned long freed[COUNT_OF(sites)][COUNT_OF(sizes)];

struct block {
	void *p;
	uint8_t site, size;
};

/* Addresses freed past the doors that no door has given out again. */
enum { GONE_ROWS = 1 << 12, GONE_EACH = 8 };
static struct block gone[GONE_ROWS][GONE_EACH];
static pthread_mutex_t gone_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long bypassed, back;
static bool bypasses, few_arenas;

static struct block *gone_find(const void *row_of, const void *p)
{
	struct block *row = gone[((uintptr_t)row_of >> 4) * 2654435761u >> 7 & (GONE_ROWS - 1)];

	for (int i = 0; i < GONE_EACH; i++)
		if (row[i].p == p)
			return &row[i];
	return NULL;
}

/* False: no room to remember it. */
static bool gone_add(const struct block *b)
{
	struct block *place;

	pthread_mutex_lock(&gone_lock);
	place = gone_find(b->p, NULL);
	if (place != NULL) {
		*place = *b;
		bypassed++;
	}
	pthread_mutex_unlock(&gone_lock);
	return place != NULL;
}

static void gone_is_back(const void *p)
{
	struct block *was;

	pthread_mutex_lock(&gone_lock);
	was = gone_find(p, p);
	if (was != NULL) {
		freed[was->site][was->size]++;
		was->p = NULL;
		back++;
	}
	pthread_mutex_unlock(&gone_lock);
}

static void say_truth(void)
{
	for (size_t i = 0; i < COUNT_OF(sites); i++)
		for (size_t k = 0; k < COUNT_OF(sizes); k++)
			if (allocated[i][k] != 0)
				printf("truth %s %zu %lu %lu\n", sites[i].name, sizes[k],
				       allocated[i][k], allocated[i][k] - freed[i][k]);
	printf("bypassed %lu, back %lu\nready\n", bypassed, back);
	fflush(stdout);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static struct slot {
	atomic_flag busy;
	struct block block;
} slots[SLOTS_MAX];
static unsigned slots_used = 4096;

static unsigned roll(uint64_t *random, unsigned n)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (unsigned)(*random >> 33) % n;
}

static void mark(const struct block *b)
{
	volatile uint8_t *p = b->p;
	size_t n = sizes[b->size];

	if (n > 0) {
		p[n - 1] = 0x5a;
		p[0] = b->site;
	}
}

static void check(const struct block *b)
{
	const volatile uint8_t *p = b->p;
	size_t n = sizes[b->size];

	if (n > 1 && p[n - 1] != 0x5a)
		fail("the end of a block is not its own");
	if (n > 0 && p[0] != b->site)
		fail("a block is not its own");
}

static void check_zero(const struct block *b)
{
	const uint8_t *p = b->p;

	for (size_t i = 0; i < sizes[b->size]; i += 7)
		if (p[i] != 0)
			fail("calloc");
}

/* b->p, if any, is resized. */
static void take(struct block *b, uint64_t *random)
{
	unsigned site = roll(random, COUNT_OF(sites) - RESIZERS);

	if (b->p != NULL) {
		unsigned was_site = b->site, was_size = b->size;

		site = COUNT_OF(sites) - RESIZERS + roll(random, RESIZERS);
		b->size = (uint8_t)(1 + roll(random, COUNT_OF(sizes) - 1));
		b->p = sites[site].take(b->p, sizes[b->size]);
		if (*(volatile uint8_t *)b->p != was_site && sizes[was_size] != 0)
			fail("contents after a resize");
		freed[was_site][was_size]++;
	} else {
		b->size = (uint8_t)roll(random, COUNT_OF(sizes));
		b->p = sites[site].take(NULL, sizes[b->size]);
	}
	b->site = (uint8_t)site;
	allocated[site][b->size]++;
	if (bypasses)
		gone_is_back(b->p);
	if (site == BY_CALLOC)
		check_zero(b);
	mark(b);
}

static void give(struct block *b, bool past_the_doors)
{
	check(b);
	if (past_the_doors && gone_add(b)) {
		__libc_free(b->p);
	} else {
		freed[b->site][b->size]++;
		free(b->p);
	}
	b->p = NULL;
}

static void resize_in_vain(struct block *b)
{
	volatile size_t huge = SIZE_MAX / 2;

	errno = 0;
	if (realloc(b->p, huge) != NULL || errno != ENOMEM)
		fail("realloc to a huge size");
	check(b);
}

static void give_by_realloc(struct block *b)
{
	check(b);
	freed[b->site][b->size]++;
	if (realloc(b->p, 0) != NULL)
		fail("realloc to nothing");
	b->p = NULL;
}

static CALLED void use(struct block *b, uint64_t *random)
{
	unsigned what = b->p == NULL ? 0 : roll(random, 16);

	if (what < 6 && (b->p == NULL || what > 0))
		take(b, random);
	else if (what < 13)
		give(b, bypasses && what > 9);
	else if (what < 15)
		resize_in_vain(b);
	else
		give_by_realloc(b);
}

static pthread_barrier_t all_are_born;

static void *work(void *arg)
{
	uint64_t random = (uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) | 1;

	/* Where time says when it ends: a quarter at least, however little the machine gives. */
	unsigned ops = bypasses ? OPS_OF_A_LIFE / 4 : OPS_OF_A_LIFE;

	if (bypasses)
		pthread_barrier_wait(&all_are_born);
	for (unsigned i = 1; i < ops || (bypasses && (i % 1024 != 0 || !until_over())); i++) {
		struct slot *s = &slots[roll(&random, slots_used)];

		if (atomic_flag_test_and_set_explicit(&s->busy, memory_order_acquire))
			continue;
		use(&s->block, &random);
		atomic_flag_clear_explicit(&s->busy, memory_order_release);
	}
	return NULL;
}

static void work_on_threads(void)
{
	pthread_t t[THREADS];
	uintptr_t born = 0;

	pthread_barrier_init(&all_are_born, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, work, (void *)++born) != 0)
			fail("pthread_create");
	while (!bypasses && !until_over())
		for (int i = 0; i < THREADS; i++)
			if (pthread_join(t[i], NULL) != 0 ||
			    pthread_create(&t[i], NULL, work, (void *)++born) != 0)
				fail("pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	static char buffer[1 << 16];
	char c;

	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	memset(text, 'x', sizeof(text) - 1);
	until(argc > 1 ? argv[1] : "5");
	if (argc > 2 && atoi(argv[2]) > 0 && atoi(argv[2]) <= SLOTS_MAX)
		slots_used = (unsigned)atoi(argv[2]);
	bypasses = argc > 3 && strchr(argv[3], 'b') != NULL;
	few_arenas = argc > 3 && strchr(argv[3], 'a') != NULL;
	if (few_arenas && mallopt(M_ARENA_MAX, 1) == 0)
		fail("mallopt");
	work_on_threads();
	say_truth();
	if (read(STDIN_FILENO, &c, 1) == 1) {
		for (unsigned i = 0; i < slots_used; i++)
			if (slots[i].block.p != NULL)
				give(&slots[i].block, false);
		say_truth();
		while (read(STDIN_FILENO, &c, 1) > 0)
			;
	}
	return 0;
}
