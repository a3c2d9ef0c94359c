/* careful [serve] -- no fault for a sanitizer to find, in threads, signals, children and blocks. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "serve.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long sum;

static volatile sig_atomic_t signals;

static void handler(int sig) { signals += sig == SIGUSR1; }

static void *work(void *unused)
{
	for (int i = 0; i < 1000; i++) {
		char *p = malloc((size_t)i + 1);

		memset(p, 1, (size_t)i + 1);
		pthread_mutex_lock(&lock);
		sum += p[i];
		pthread_mutex_unlock(&lock);
		free(p);
	}
	return unused;
}

int main(void)
{
	struct sigaction act = { .sa_handler = handler };
	pthread_t t[4];
	int status = 0;
	pid_t pid;

	sigaction(SIGUSR1, &act, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	raise(SIGUSR1);
	pid = fork();
	if (pid == 0)
		_exit(6);
	waitpid(pid, &status, 0);
	printf("%ld, %d signal, child %d\n", sum, (int)signals, WEXITSTATUS(status));
	fflush(stdout);
	serve(NULL);
	return 9;
}
