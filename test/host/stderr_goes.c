/* stderr_goes [WAY] -- its descriptor 2 becomes a file of its own, the file "data", by dup2, or by
 * closing and opening; or nothing, or a pipe that nobody reads.  A child works for a while behind
 * it.  What is in the file at last is what the program wrote.  With a WAY the child works until
 * the end of the input. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char data[] = "line of the program\n";

static int open_data(void)
{
	return open("data", O_RDWR | O_CREAT | O_APPEND, 0600);
}

static void by_dup2(void)
{
	int fd = open_data();

	dup2(fd, 2);
	close(fd);
}

static void by_reopen(void)
{
	close(2);
	open_data();
}

/* A log that is rotated: the old file goes, and the new one may get its inode. */
static void by_same_inode(void)
{
	struct stat before, after;

	fstat(2, &before);
	for (int i = 0; i < 100; i++) {
		unlink("data");
		close(2);
		open_data();
		fstat(2, &after);
		if (after.st_ino == before.st_ino)
			return;
	}
}

static void by_close(void) { close(2); close(open_data()); }

static void by_full_pipe(void)
{
	int two[2];
	static char zeros[4096];

	close(open_data());
	if (pipe(two) != 0)
		return;
	fcntl(two[1], F_SETFL, O_NONBLOCK);
	while (write(two[1], zeros, sizeof(zeros)) > 0)
		;
	fcntl(two[1], F_SETFL, 0);
	dup2(two[1], 2);
}

static const struct { const char *name; void (*go)(void); } ways[] = {
	{ "dup2", by_dup2 },   { "reopen", by_reopen },       { "same_inode", by_same_inode },
	{ "close", by_close }, { "full_pipe", by_full_pipe },
};

static void work(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 3000000; i++)
		x = x * 3 + 1;
	free(malloc(1 << 20));
}

static int lines_of_others(void)
{
	char text[4096] = "";
	int fd = open("data", O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0, lines = 0, good = 0;

	close(fd);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		lines++;
		good += strncmp(line, data, strlen(line)) == 0;
	}
	return n < 0 ? -1 : (int)(lines - good);
}

static void lose(const char *name, void (*go)(void), int stays)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	int status = -1;
	pid_t pid;

	unlink("data");
	go();
	if (strcmp(name, "full_pipe") != 0 && write(2, data, sizeof(data) - 1) < 0 && errno != EBADF)
		_exit(1);
	pid = fork();
	if (pid == 0) {
		do
			work();
		while (stays && poll(&input, 1, 10) == 0);
		_exit(3);
	}
	waitpid(pid, &status, 0);
	dprintf(1, "%s: child %d, lines of others %d\n", name, status >> 8, lines_of_others());
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (argc > 1 && strcmp(argv[1], ways[i].name) != 0)
			continue;
		lose(ways[i].name, ways[i].go, argc > 1);
	}
	return 0;
}
