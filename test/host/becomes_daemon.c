/* becomes_daemon [daemon|twice] [PIDFILE] -- goes into the background, by daemon(3) or as the
 * books say: two forks, all descriptors closed.  It says so and ends; with a PIDFILE it goes on
 * without any descriptor, working now and then, until that file is removed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void work(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 10000000; i++)
		x = x * 3 + 1;
	free(malloc(1 << 22));
}

static void fork_away(void)
{
	pid_t pid = fork();

	if (pid != 0)
		_exit(pid < 0);
}

static void go_twice(void)
{
	fork_away();
	setsid();
	fork_away();
	umask(027);
	if (chdir("/") != 0)
		_exit(1);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

static void live(const char *pid_file)
{
	FILE *f = fopen(pid_file, "w");

	fprintf(f, "%d\n", getpid());
	fclose(f);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	while (access(pid_file, F_OK) == 0) {
		work();
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
}

int main(int argc, char **argv)
{
	work();
	if (argc > 1 && strcmp(argv[1], "twice") == 0)
		go_twice();
	else if (daemon(0, 1) != 0)
		return 1;
	work();
	dprintf(1, "in the background, lowest descriptor %d, root %d\n", dup(0),
		access("etc", F_OK) == 0);
	if (argc > 2)
		live(argv[2]);
	return 0;
}
