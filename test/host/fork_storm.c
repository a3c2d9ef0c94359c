/* fork_storm [ROUNDS] -- sixteen threads fork, ROUNDS (10) times each, while four more keep the
 * heap and a lock busy.  A child allocates, takes the lock, makes a thread that does the same, and
 * ends.  0: until the end of the input.  Counts the children that did not do well. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKERS = 16, OTHERS = 4 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int well, badly;
static atomic_bool stop;
static int rounds = 10;

/* The child must find the lock as a lock: the thread that held it is not there any more. */
static void before(void) { pthread_mutex_lock(&mutex); free(malloc(300)); }
static void after(void) { free(malloc(400)); pthread_mutex_unlock(&mutex); }

static void use(size_t n)
{
	char *block[16];

	for (size_t i = 0; i < 16; i++) {
		block[i] = malloc(32 + (n * 977 + i * 3001) % 40000);
		*block[i] = 1;
	}
	pthread_mutex_lock(&mutex);
	block[3] = realloc(block[3], 70000);
	pthread_mutex_unlock(&mutex);
	for (size_t i = 0; i < 16; i++)
		free(block[i]);
}

static void *use_in_thread(void *arg)
{
	use((size_t)arg);
	return NULL;
}

static void be_child(size_t n)
{
	pthread_t t;

	use(n);
	if (pthread_create(&t, NULL, use_in_thread, (void *)n) != 0 || pthread_join(t, NULL) != 0)
		_exit(1);
	use(n + 1);
	if (n % 2 == 0)
		exit(42);
	_exit(42);
}

static void *be_forker(void *arg)
{
	size_t n = (size_t)arg;

	for (int i = 0; i == 0 || i < rounds || (rounds == 0 && !stop); i++, n += FORKERS) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			be_child(n);
		use(n);
		if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		    WEXITSTATUS(status) == 42)
			well++;
		else
			badly++;
	}
	return NULL;
}

static void *be_other(void *arg)
{
	for (size_t n = (size_t)arg; !stop; n++)
		use(n);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t forker[FORKERS], other[OTHERS];
	struct pollfd input = { .fd = 0, .events = POLLIN };

	if (argc > 1)
		rounds = atoi(argv[1]);
	pthread_atfork(before, after, after);
	for (size_t i = 0; i < OTHERS; i++)
		pthread_create(&other[i], NULL, be_other, (void *)i);
	for (size_t i = 0; i < FORKERS; i++)
		pthread_create(&forker[i], NULL, be_forker, (void *)i);
	if (rounds == 0) {
		poll(&input, 1, -1);
		stop = true;
	}
	for (int i = 0; i < FORKERS; i++)
		pthread_join(forker[i], NULL);
	stop = true;
	for (int i = 0; i < OTHERS; i++)
		pthread_join(other[i], NULL);
	if (rounds == 0)
		printf("some %d, badly %d\n", well > 0, badly);
	else
		printf("well %d, badly %d\n", well, badly);
	return 0;
}
