/* execs_with_ticks [LEFT [HOW]] -- execs itself again and again in the midst of work, with SIGPROF
 * blocked or open, from the main thread or another, itself or by posix_spawn: the new program must see
 * nothing waiting, and must live. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 60

extern char **environ;
static char left_text[16], how_text[16];
static char *again[] = { "execs_with_ticks", left_text, how_text, NULL };

static void burn(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 2000000; i++)
		x = x * 3 + 1;
}

static void *exec_again(void *unused)
{
	burn();
	execv("/proc/self/exe", again);
	return unused;
}

/* Its child waits for nothing. */
static void spawn(const sigset_t *mask)
{
	char *child[] = { "execs_with_ticks", "0", "quiet", NULL };
	posix_spawnattr_t attr;
	int status = -1;
	pid_t pid;

	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, mask);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, &attr, child, environ) == 0)
		waitpid(pid, &status, 0);
	posix_spawnattr_destroy(&attr);
	if (status != 0)
		printf("a spawned child ended with %x\n", (unsigned)status);
}

int main(int argc, char **argv)
{
	int left = argc > 1 ? atoi(argv[1]) : ROUNDS;
	sigset_t prof, pending, none;
	pthread_t t;

	sigemptyset(&none);
	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	sigpending(&pending);
	if (sigismember(&pending, SIGPROF) != 0)
		printf("something waits, %d left\n", left);
	sigprocmask(SIG_UNBLOCK, &prof, NULL);
	burn();
	if (left == 0) {
		if (argc < 3 || strcmp(argv[2], "quiet") != 0)
			puts("the end");
		return 0;
	}
	snprintf(left_text, sizeof(left_text), "%d", left - 1);
	snprintf(how_text, sizeof(how_text), "%d", left % 4);
	if (left % 10 == 0)
		spawn(left % 20 == 0 ? &prof : &none);
	if (left % 2 == 0)
		sigprocmask(SIG_BLOCK, &prof, NULL);
	fflush(stdout);
	if (left % 4 < 2) {
		exec_again(NULL);
	} else if (pthread_create(&t, NULL, exec_again, NULL) == 0) {
		for (;;)
			burn();
	}
	return 1;
}
