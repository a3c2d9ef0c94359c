/* heap_stress [THREADS [SCALE [ROUNDS]]] -- threads allocate blocks of all sizes, keep some for long, and exchange
 * others with whoever comes by; when all have ended, new ones go on with what these have left to exchange.  Each
 * word of a block has a cookie, which is looked at when the block is resized or freed.
 *
 * What is asked for depends on nothing but the arguments, so the output is the same each time.
 * Prints "allocated N, B bytes; freed N; wrong N", then waits for the end of its input. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CALLED __attribute__((noinline, noclone))

enum { EXCHANGED = 1000, THREADS_MAX = 64, HUGE_WORDS = 1 << 20 };

static unsigned threads = 32, scale = 10, rounds = 10;
static _Atomic(uintptr_t *) exchanged[EXCHANGED];
static atomic_ulong allocated, bytes, freed, wrong;

/* The high bits: the low ones of such a generator are bad. */
static unsigned roll(uint64_t *random, unsigned n)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((*random >> 33) * n >> 31);
}

static bool one_in(unsigned n, uint64_t *random)
{
	return roll(random, n) == 0;
}

/* Small ones mostly, a power of two of them; a hundred times that, or huge, now and then. */
static size_t pick_words(uint64_t *random)
{
	size_t words = 1 + roll(random, 1u << (1 + roll(random, 6)));

	if (one_in(100, random))
		words *= 100;
	if (one_in(5000, random))
		words = HUGE_WORDS / 2 + roll(random, HUGE_WORDS);
	return words;
}

/* --- blocks: the first word is how many there are, the others are made of their place ---------- */

static uintptr_t cookie(size_t words, size_t i)
{
	return (words - i) * (uintptr_t)0x9e3779b97f4a7c15 ^ 0xc001;
}

static void bake(uintptr_t *block, size_t words)
{
	block[0] = words;
	for (size_t i = 1; i < words; i++)
		block[i] = cookie(words, i);
}

/* of: how many of them to look at, those that a resize has kept. */
static void check(const uintptr_t *block, size_t words, size_t of)
{
	bool good = block[0] == words && (uintptr_t)block % sizeof(uintptr_t) == 0;

	for (size_t i = 1; good && i < of; i++)
		good = block[i] == cookie(words, i);
	if (!good)
		wrong++;
}

static CALLED void give(uintptr_t *block)
{
	if (block == NULL)
		return;
	check(block, block[0], block[0]);
	freed++;
	free(block);
}

static CALLED uintptr_t *take(size_t words, unsigned how)
{
	size_t n = words * sizeof(uintptr_t);
	void *p = NULL;

	switch (how) {
	case 0:
		p = calloc(words, sizeof(uintptr_t));
		for (size_t i = 0; p != NULL && i < words; i++)
			if (((uintptr_t *)p)[i] != 0)
				wrong++;
		break;
	case 1:
		p = aligned_alloc(64, n);
		if ((uintptr_t)p % 64 != 0)
			wrong++;
		break;
	case 2:
		if (posix_memalign(&p, 4096, n) != 0 || (uintptr_t)p % 4096 != 0)
			wrong++;
		break;
	default:
		p = malloc(n);
	}
	return p;
}

static CALLED uintptr_t *resize(uintptr_t *block, size_t words)
{
	size_t had = block == NULL ? 0 : block[0];
	uintptr_t *p = realloc(block, words * sizeof(uintptr_t));

	if (p == NULL)
		return NULL;
	if (had != 0) {
		check(p, had, had < words ? had : words);
		freed++;
	}
	return p;
}

static uintptr_t *make(uintptr_t *old, uint64_t *random)
{
	size_t words = pick_words(random);
	unsigned how = roll(random, 20);
	uintptr_t *p;

	if (how == 1)
		words = (words + 7) / 8 * 8;    /* as aligned_alloc wants it */
	if (how > 16) {
		p = resize(old, words);
	} else {
		give(old);
		p = take(words, how);
	}
	if (p == NULL || malloc_usable_size(p) < words * sizeof(uintptr_t))
		abort();
	allocated++;
	bytes += words * sizeof(uintptr_t);
	bake(p, words);
	return p;
}

/* --- threads ----------------------------------------------------------------------------------- */

static void *work(void *arg)
{
	uint64_t random = (uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) + 1;
	unsigned places = 50 * scale, steps = 10 * places * (1 + (unsigned)(uintptr_t)arg % 4);
	uintptr_t **kept = calloc(places, sizeof(*kept));

	for (unsigned i = 0; i < steps; i++) {
		uintptr_t **place = &kept[roll(&random, places)];

		*place = make(*place, &random);
		/* What is found there may be another thread's, or nothing. */
		if (one_in(4, &random))
			*place = atomic_exchange(&exchanged[roll(&random, EXCHANGED)], *place);
		if (one_in(3, &random)) {
			place = &kept[roll(&random, places)];
			give(*place);
			*place = NULL;
		}
	}
	for (unsigned i = 0; i < places; i++)
		give(kept[i]);
	free(kept);
	return NULL;
}

static void work_on_threads(unsigned round)
{
	pthread_t t[THREADS_MAX];

	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, (void *)(uintptr_t)(round * threads + i)) != 0)
			abort();
	for (unsigned i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	char c;

	if (argc > 1 && atoi(argv[1]) > 0 && atoi(argv[1]) <= THREADS_MAX)
		threads = (unsigned)atoi(argv[1]);
	if (argc > 2 && atoi(argv[2]) > 0)
		scale = (unsigned)atoi(argv[2]);
	if (argc > 3)
		rounds = (unsigned)atoi(argv[3]);
	for (unsigned i = 0; i < rounds; i++) {
		work_on_threads(i);
		/* Every second time they begin with nothing. */
		for (unsigned k = 0; k < EXCHANGED && (i % 2 == 1 || i + 1 == rounds); k++)
			give(atomic_exchange(&exchanged[k], NULL));
	}
	printf("allocated %lu, %lu bytes; freed %lu; wrong %lu\n", allocated, bytes, freed, wrong);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return wrong != 0;
}
