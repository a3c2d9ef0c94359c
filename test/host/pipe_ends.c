/* pipe_ends [stay | start] -- who closes the last copy of a descriptor is seen to have done it at
 * once: a reader has its end, a lock on a file is free.  Here, on a thread, after a fork, after an
 * exec; counts the times when somebody else seemed to have a copy.  With "stay" until the end of
 * the input; with "start" only the first moments, here. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int has_ended(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&p, 1, 0) == 1 && read(fd, &c, 1) == 0;
}

static int copies_of_pipe(void)
{
	int two[2], copies;

	if (pipe2(two, O_CLOEXEC) != 0)
		return 1;
	close(two[1]);
	copies = !has_ended(two[0]);
	close(two[0]);
	return copies;
}

static int copies_of_socket(void)
{
	int two[2], copies;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two) != 0)
		return 1;
	close(two[1]);
	copies = !has_ended(two[0]);
	close(two[0]);
	return copies;
}

/* A lock belongs to the open file: it goes with the last descriptor of it. */
static int copies_of_lock(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), copies;

	copies = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	return copies;
}

/* The child lives on without them, long enough for what may be in it to have made copies. */
static int copies_after_fork(void)
{
	volatile uint64_t x = 1;
	int two[2], life[2], copies, status;
	struct pollfd end;
	pid_t pid;
	char c;

	if (pipe(two) != 0 || pipe(life) != 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 10000000; i++)
			x = x * 3 + 1;
		close(two[0]);
		close(two[1]);
		close(life[1]);
		_exit(read(life[0], &c, 1) != 0);
	}
	close(two[1]);
	end = (struct pollfd){ .fd = two[0], .events = POLLIN };
	copies = poll(&end, 1, 5000) != 1 || read(two[0], &c, 1) != 0;
	close(life[0]);
	close(life[1]);
	waitpid(pid, &status, 0);
	close(two[0]);
	return copies + (status != 0);
}

static int copies_after_exec(void)
{
	char *argv[] = { "true", NULL };
	int two[2], copies, status;
	pid_t pid;

	if (pipe(two) != 0 || posix_spawnp(&pid, "true", NULL, NULL, argv, environ) != 0)
		return 1;
	close(two[1]);
	waitpid(pid, &status, 0);
	copies = !has_ended(two[0]);
	close(two[0]);
	return copies;
}

static void *on_thread(void *arg)
{
	*(int *)arg += copies_of_pipe() + copies_of_socket();
	return NULL;
}

int main(int argc, char **argv)
{
	bool stays = argc > 1 && strcmp(argv[1], "stay") == 0;
	bool starts = argc > 1 && strcmp(argv[1], "start") == 0;
	struct pollfd input = { .fd = 0, .events = POLLIN };
	int here = 0, thread = 0, after_fork = 0, after_exec = 0, rounds = 0;
	pthread_t t;

	if (stays)
		puts("ready");
	fflush(stdout);
	for (; starts && rounds < 300; rounds++)
		here += copies_of_pipe();
	if (starts)
		return here;
	do {
		here += copies_of_pipe() + copies_of_socket() + copies_of_lock("lock");
		if (rounds++ % 20 != 0)
			continue;
		pthread_create(&t, NULL, on_thread, &thread);
		pthread_join(t, NULL);
		after_fork += copies_after_fork();
		after_exec += copies_after_exec();
	} while (stays ? poll(&input, 1, 0) == 0 : rounds < 200);
	printf("copies %d here, %d on a thread, %d after fork, %d after exec\n", here, thread,
	       after_fork, after_exec);
	return 0;
}
