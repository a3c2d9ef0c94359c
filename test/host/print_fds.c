/* print_fds -- the open descriptors from 0 to 255, at start, after some work, and in a child. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void print(const char *when)
{
	printf("%s:", when);
	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf(" %d", fd);
	putchar('\n');
	fflush(stdout);
}

static void work(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 100000000; i++)
		x = x * 3 + 1;
	free(malloc(1 << 26));
}

int main(int argc, char **argv)
{
	print(argc > 1 ? "after exec" : "at start");
	if (argc > 1)
		return 0;
	work();
	print("later");
	if (fork() == 0) {
		print("in a child");
		work();
		print("in a child, later");
		execl("/proc/self/exe", argv[0], "again", (char *)NULL);
		_exit(1);
	}
	wait(NULL);
	return 0;
}
