/* sets_title -- names itself as servers do: moves its environment away and writes over the
 * arguments and everything behind them; so does a child, with a name of its own.  Prints what ps
 * would show. sets_title stay -- both work until the end of the input. */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static struct { char *at; size_t n; int elsewhere; } room;

/* Arguments and environment stand behind each other on the stack. */
static void find_room(char **argv)
{
	char *end = argv[0], **copy;
	size_t n = 0;

	room.at = argv[0];
	for (int i = 0; argv[i] != NULL; i++)
		if (argv[i] == end)
			end += strlen(end) + 1;
	for (; environ[n] != NULL; n++)
		if (environ[n] == end)
			end += strlen(end) + 1;
		else
			room.elsewhere++;       /* somebody has set a variable before us */
	room.n = (size_t)(end - room.at);
	copy = malloc((n + 1) * sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = strdup(environ[i]);
	copy[n] = NULL;
	environ = copy;
}

static void set_title(const char *title)
{
	memset(room.at, 0, room.n);
	strncpy(room.at, title, room.n - 1);
}

static void print_title(void)
{
	char text[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	printf("title '%s', HOME is %s, %d variables elsewhere\n", text,
	       getenv("HOME") != NULL ? "set" : "not set", room.elsewhere);
	fflush(stdout);
}

__attribute__((noinline)) static void work_until_the_end(void)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	volatile uint64_t x = 1;

	while (poll(&input, 1, 10) == 0)
		for (int i = 0; i < 20000000; i++)       /* several of the kernel's ticks */
			x = x * 3 + 1;
}

int main(int argc, char **argv)
{
	int stays = argc > 1, status = -1;
	pid_t pid;

	find_room(argv);
	set_title("server: master process");
	print_title();
	pid = fork();
	if (pid == 0) {
		set_title("server: worker");
		print_title();
	}
	if (stays)
		work_until_the_end();
	if (pid == 0)
		exit(3);
	waitpid(pid, &status, 0);
	print_title();
	printf("worker %d\n", status >> 8);
	return 0;
}
