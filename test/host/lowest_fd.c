/* lowest_fd -- the lowest free descriptor is what a new one gets; prints the numbers that come out.
 * lowest_fd watch -- opens and closes until the end of its input, and counts the times when it was not. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void *open_one(void *unused)
{
	printf("on a thread: %d\n", open("/dev/null", O_RDONLY));
	return unused;
}

static int watch(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	unsigned long surprises = 0, opened = 0;

	puts("ready");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		for (int i = 0; i < 1000; i++, opened++) {
			int fd = open("/dev/null", O_RDONLY);

			surprises += fd != 3;
			close(fd);
		}
	printf("surprises %lu of %lu\n", surprises, opened);
	return 0;
}

int main(int argc, char **argv)
{
	volatile uint64_t x = 1;
	int two[2];
	pthread_t t;

	if (argc > 1 && argv[1][0] == 'w')
		return watch();
	for (int i = 0; i < 5; i++)
		printf("open: %d\n", open("/dev/null", O_RDONLY));
	for (int i = 0; i < 100000000; i++)
		x = x * 3 + 1;
	close(4);
	printf("socket: %d\n", socket(AF_UNIX, SOCK_STREAM, 0));
	close(3);
	printf("dup: %d\n", dup(0));
	if (pipe(two) == 0)
		printf("pipe: %d %d\n", two[0], two[1]);
	printf("epoll: %d\n", epoll_create1(0));
	printf("eventfd: %d\n", eventfd(0, 0));
	free(malloc(10000000));
	pthread_create(&t, NULL, open_one, NULL);
	pthread_join(t, NULL);
	printf("fcntl: %d\n", fcntl(0, F_DUPFD, 100));
	return 0;
}
