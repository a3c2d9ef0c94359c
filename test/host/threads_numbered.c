/* threads_numbered [THREADS] [WORKERS] -- many threads that wait, the stack of each saying its number, digit by
 * digit from the outermost frame on; their names, too.  Then, at each line of input, WORKERS threads are
 * made and joined, and the line "joined" is said. */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static sem_t never;
static int quiet[2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t there;

static __attribute__((noinline)) void wait_somehow(unsigned n)
{
	static const struct timespec long_time = { 100000, 0 };
	char c;

	switch (n % 4) {
	case 0:
		sem_wait(&never);
		break;
	case 1:
		nanosleep(&long_time, NULL);
		break;
	case 2:
		if (read(quiet[0], &c, 1) < 0)
			abort();
		break;
	default:
		pthread_mutex_lock(&mutex);
		pthread_cond_wait(&cond, &mutex);
	}
	__asm__ volatile("");
}

static void next(unsigned n, unsigned power);

#define DIGIT(d)                                                                          \
	__attribute__((noinline)) void digit_##d(unsigned n, unsigned power)              \
	{                                                                                 \
		volatile char room[16 + 24 * d]; /* frames of ten sizes */                \
                                                                                          \
		room[0] = (char)n;                                                        \
		next(n, power);                                                           \
		__asm__ volatile("" : : "r"(room[0]));                                    \
	}

DIGIT(0) DIGIT(1) DIGIT(2) DIGIT(3) DIGIT(4) DIGIT(5) DIGIT(6) DIGIT(7) DIGIT(8) DIGIT(9)

static __attribute__((noinline)) void next(unsigned n, unsigned power)
{
	static void (*const digit[])(unsigned, unsigned) = {
		digit_0, digit_1, digit_2, digit_3, digit_4,
		digit_5, digit_6, digit_7, digit_8, digit_9,
	};

	if (power == 0) {
		pthread_barrier_wait(&there);
		wait_somehow(n);
	} else {
		digit[n / power % 10](n, power / 10);
	}
	__asm__ volatile("");
}

static void *numbered(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;
	char name[16];

	snprintf(name, sizeof(name), "n%04u", n);
	pthread_setname_np(pthread_self(), name);
	next(n, 1000);
	__asm__ volatile("");
	return NULL;
}

static void *short_one(void *arg)
{
	return arg;
}

static void make_and_join(unsigned workers, const pthread_attr_t *small)
{
	pthread_t t[4];

	for (unsigned n = 0; n < workers; n += 4) {
		for (unsigned i = 0; i < 4; i++)
			if (pthread_create(&t[i], small, short_one, NULL) != 0)
				abort();
		for (unsigned i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
	}
	puts("joined");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 20;
	unsigned workers = argc > 2 ? (unsigned)atoi(argv[2]) : 400;
	pthread_attr_t small;
	pthread_t t;
	int c;

	if (pipe(quiet) < 0)
		abort();
	sem_init(&never, 0, 0);
	pthread_barrier_init(&there, NULL, threads + 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (uintptr_t n = 0; n < threads; n++)
		if (pthread_create(&t, &small, numbered, (void *)n) != 0)
			abort();
	pthread_barrier_wait(&there);
	puts("ready");
	fflush(stdout);
	while ((c = getchar()) != EOF)
		if (c == '\n')
			make_and_join(workers, &small);
	_exit(0);
}
