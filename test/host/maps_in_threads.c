/* maps_in_threads -- threads map, unmap and pass on to each other, while handlers map and unmap; at
 * the end each keeps a known part, and all calls are known.  With "jumps" the handlers leave by
 * siglongjmp; with "same" it says only what is the same each time. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS  3000
#define KEPT    100
#define PAGE    ((size_t)4096)
#define NOINLINE __attribute__((noinline))

static _Atomic(char *) passed[THREADS];
static _Thread_local sigjmp_buf away;
static _Thread_local volatile sig_atomic_t may_jump;
static int jumps;
static atomic_uint handled;

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

NOINLINE static void handles(int sig)
{
	char *p = map(3);

	(void)sig;
	handled++;
	munmap(p + PAGE, PAGE);
	munmap(p, 3 * PAGE);
	if (jumps && may_jump)
		siglongjmp(away, 1);
}

NOINLINE static void passes_on(unsigned who)
{
	char *mine = map(8), *other;

	other = atomic_exchange(&passed[(who + 1) % THREADS], mine);
	if (other == NULL)
		return;
	munmap(other, 4 * PAGE);
	munmap(other + 4 * PAGE, 4 * PAGE);
}

/* Here a handler may leave: what it has mapped is lost to it. */
NOINLINE static void is_left(void)
{
	if (sigsetjmp(away, 1) == 0) {
		may_jump = 1;
		munmap(map(2), 2 * PAGE);
	}
	may_jump = 0;
}

NOINLINE static void keeps(void)
{
	char *p = map(3);

	munmap(p + PAGE, PAGE);
}

static void *run(void *arg)
{
	unsigned who = (unsigned)(size_t)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		passes_on(who);
		is_left();
		if (i < KEPT)
			keeps();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = handles, .sa_flags = SA_RESTART };
	pthread_t thread[THREADS];

	jumps = argc > 1 && strcmp(argv[1], "jumps") == 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, run, (void *)i) != 0)
			abort();
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		if (passed[i] != NULL)
			munmap(passed[i], 8 * PAGE);
	printf("keeps %d %zu %d %zu\n", THREADS * KEPT, THREADS * KEPT * 2 * PAGE, THREADS * KEPT,
	       THREADS * KEPT * 3 * PAGE);
	printf("passes_on 0 0 %d %zu\n", THREADS * ROUNDS, THREADS * ROUNDS * 8 * PAGE);
	if (!jumps)
		printf("is_left 0 0 %d %zu\n", THREADS * ROUNDS, THREADS * ROUNDS * 2 * PAGE);
	if (argc == 1 || strcmp(argv[1], "same") != 0)
		printf("handles 0 0 %u %zu\n", handled, handled * 3 * PAGE);
	printf("ready\n");
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	return 0;
}
