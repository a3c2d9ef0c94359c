/* fd_watch [stay] -- lists its descriptors and what they are, over and over, also on a thread and
 * in children just made; counts the times when the list was another one than at the start.  With
 * "stay" until the end of the input, else a hundred times. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIST = 4096 };

static char first[LIST];
static atomic_bool stop, watched;

/* "0 /dev/null, 1 pipe:[4711] ..." without that of the listing itself. */
static void list(char text[LIST])
{
	DIR *d = opendir("/proc/thread-self/fd");
	struct dirent *e;
	size_t n = 0;

	text[0] = '\0';
	while (d != NULL && (e = readdir(d)) != NULL) {
		char target[256] = "";

		if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d))
			continue;
		if (readlinkat(dirfd(d), e->d_name, target, sizeof(target) - 1) < 0)
			strcpy(target, "?");
		n += (size_t)snprintf(text + n, LIST - n, "%s %s, ", e->d_name, target);
	}
	if (d != NULL)
		closedir(d);
}

static int surprise(void)
{
	char now[LIST];

	list(now);
	if (strcmp(now, first) != 0)
		fprintf(stderr, "at first: %s\nnow: %s\n", first, now);
	return strcmp(now, first) != 0;
}

/* The lowest number, twice; and what select sees of all there may be. */
static int surprise_of_numbers(int lowest)
{
	int a = dup(0), b = open("/dev/null", O_RDONLY), n = a != lowest || b != lowest + 1;
	struct timeval now = { 0, 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(b, &set);
	n += select(FD_SETSIZE, &set, NULL, NULL, &now) != 1;
	close(a);
	close(b);
	return n;
}

static int child_surprise(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int n = surprise();

		for (int i = 0; i < 300; i++)
			free(malloc(1 << 17));
		_exit(n + surprise());
	}
	waitpid(pid, &status, 0);
	return status >> 8;
}

/* In a table of its own, copied before main opens the next: what main does is not seen here. */
static void *watch_in_thread(void *unused)
{
	long n = 0;
	bool alone = unshare(CLONE_FILES) == 0;

	(void)unused;
	watched = true;
	if (!alone)
		return NULL;
	while (!stop)
		n += surprise();
	return (void *)n;
}

int main(int argc, char **argv)
{
	bool stays = argc > 1 && strcmp(argv[1], "stay") == 0;
	struct pollfd input = { .fd = 0, .events = POLLIN };
	long here = 0, in_children = 0, rounds = 0;
	void *on_thread = NULL;
	pthread_t t;
	int lowest;

	list(first);
	lowest = dup(0);
	close(lowest);
	pthread_create(&t, NULL, watch_in_thread, NULL);
	while (!watched)
		sched_yield();
	if (stays)
		puts("ready");
	fflush(stdout);
	do {
		here += surprise() + surprise_of_numbers(lowest);
		if (rounds % 8 == 0)
			in_children += child_surprise();
		rounds++;
	} while (stays ? poll(&input, 1, 0) == 0 : rounds < 100);
	stop = true;
	pthread_join(t, &on_thread);
	printf("surprises %ld here, %ld on a thread, %ld in children, rounds %d\n", here,
	       (long)on_thread, in_children, rounds >= 100);
	return 0;
}
