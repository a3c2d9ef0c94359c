/* storm DIRECTORY LONGEST_MS [SECONDS] -- two threads load, use and unload DIRECTORY/lib_0.so to lib_7.so,
 * each for a time between 1 ms and LONGEST_MS; without order, but all lengths are as likely.
 * A library calls back, and the callback enters another one.  Says how often. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "until.h"

enum { LIBS = 8, THREADS = 2 };

#define CALLED __attribute__((noinline, noclone))

typedef int enter_t(unsigned turns, void (*back)(unsigned));

struct worker {
	pthread_t thread;
	uint64_t  random;
	void     *handle[LIBS];
	enter_t  *enter[LIBS];
	uint64_t  until[LIBS];
	int       inner;                /* the one that the callback enters; -1: none */
	unsigned  loads;
	uint64_t  sum;
};

static const char *directory;
static uint64_t longest_ns;
static __thread struct worker *self;
static volatile uint64_t sink;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static unsigned roll(struct worker *w, unsigned n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (unsigned)(w->random >> 33) % n;
}

static CALLED void enter_inner(unsigned turns);

/* One of each for every library: a frame of another library between them is a wrong stack. */
#define USER(n)                                                                         \
	static CALLED void spin_##n(unsigned turns)                                     \
	{                                                                               \
		uint64_t x = turns;                                                     \
											\
		for (unsigned i = 0; i < turns * 100; i++)                              \
			x = x * 3 + (i ^ x >> (n + 1));                          \
		sink = x;                                                               \
	}                                                                               \
	static CALLED void back_##n(unsigned turns)                                     \
	{                                                                               \
		spin_##n(turns);                                                        \
		enter_inner(turns);                                                     \
		sink = n;                                                               \
	}                                                                               \
	static CALLED uint64_t use_##n(enter_t *enter, unsigned turns)                  \
	{                                                                               \
		return (uint64_t)enter(turns, back_##n) * (n + 1);                      \
	}

USER(0) USER(1) USER(2) USER(3) USER(4) USER(5) USER(6) USER(7)

static uint64_t (*const use[LIBS])(enter_t *, unsigned) = {
	use_0, use_1, use_2, use_3, use_4, use_5, use_6, use_7,
};

static CALLED void enter_inner(unsigned turns)
{
	struct worker *w = self;
	int i = w->inner;

	w->inner = -1;
	if (i >= 0)
		w->sum += use[i](w->enter[i], turns);
}

static CALLED void open_one(struct worker *w, unsigned i)
{
	char path[4096], name[32];
	unsigned scale = 1u << roll(w, 12);

	snprintf(path, sizeof(path), "%s/lib_%u.so", directory, i);
	snprintf(name, sizeof(name), "lib_%u_enter", i);
	w->handle[i] = dlopen(path, roll(w, 2) ? RTLD_LAZY : RTLD_NOW);
	if (w->handle[i] == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		abort();
	}
	*(void **)&w->enter[i] = dlsym(w->handle[i], name);
	w->until[i] = now_ns() + (longest_ns >> 11) * (scale + roll(w, scale));
	w->loads++;
}

static CALLED void close_one(struct worker *w, unsigned i)
{
	dlclose(w->handle[i]);
	w->handle[i] = NULL;
}

static CALLED void *work(void *of)
{
	struct worker *w = self = of;

	while (!until_over()) {
		uint64_t now = now_ns();
		unsigned i = roll(w, LIBS), inner = roll(w, LIBS);

		for (unsigned k = 0; k < LIBS; k++)
			if (w->handle[k] != NULL && now >= w->until[k])
				close_one(w, k);
		if (w->handle[i] == NULL)
			open_one(w, i);
		w->inner = w->handle[inner] != NULL && inner != i ? (int)inner : -1;
		w->sum += use[i](w->enter[i], 20 + roll(w, 100));
	}
	for (unsigned k = 0; k < LIBS; k++)
		if (w->handle[k] != NULL)
			close_one(w, k);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct worker worker[THREADS];
	uint64_t loads = 0;

	if (argc < 3)
		return 2;
	directory = argv[1];
	longest_ns = strtoull(argv[2], NULL, 10) * 1000000;
	until(argc > 3 ? argv[3] : NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i].random = 88172645463325252u + i;
		pthread_create(&worker[i].thread, NULL, work, &worker[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(worker[i].thread, NULL);
		loads += worker[i].loads;
	}
	printf("loads %llu\n", (unsigned long long)loads);
	return 0;
}
