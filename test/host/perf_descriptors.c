/* perf_descriptors WHAT -- what a program does that finds descriptors of ours among its own:
 *   fork    a child keeps all that it inherited open; its parent blocks SIGPROF, works, and looks
 *           whether one has come
 *   close   closes all from 3 on, and works for ever
 *   cover   puts /dev/null in the place of each from 3 on, and works for ever
 *   exit    threads work and end by the system call, eight at a time, for ever */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

__attribute__((noinline)) void burn(double seconds)
{
	double until = cpu() + seconds;

	while (cpu() < until)
		for (volatile int i = 0; i < 10000; i++)
			;
}

static int fork_and_block(void)
{
	sigset_t set;
	int ends[2];
	char byte;
	pid_t child;

	if (pipe(ends) != 0)
		return 1;
	burn(0.1);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGPROF);
	sigprocmask(SIG_BLOCK, &set, NULL);
	burn(0.1);
	sigpending(&set);
	printf("SIGPROF is pending: %d\n", sigismember(&set, SIGPROF));
	close(ends[1]);
	waitpid(child, NULL, 0);
	return 0;
}

static void cover(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 3; fd < 65536; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			dup2(null, fd);
}

static void *end_by_call(void *unused)
{
	burn(0.05);
	syscall(SYS_exit, 0);
	return unused;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	pthread_t t[8];

	if (strcmp(what, "fork") == 0)
		return fork_and_block();
	burn(0.1);
	if (strcmp(what, "close") == 0)
		close_range(3, ~0u, 0);
	if (strcmp(what, "cover") == 0)
		cover();
	puts("ready");
	fflush(stdout);
	while (strcmp(what, "exit") == 0) {
		for (int i = 0; i < 8; i++)
			if (pthread_create(&t[i], NULL, end_by_call, NULL) != 0)
				return 1;
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
	}
	for (;;)
		burn(1);
}
