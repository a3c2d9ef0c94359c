/* few_files [stay] -- lowers its limit of open files to 16 and takes all there are, by open, dup,
 * pipe, socket and what comes through a socket; prints how many that were.  With "stay" until the
 * end of the input. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int taken[64], count;

static int keep(int fd)
{
	if (fd >= 0)
		taken[count++] = fd;
	return fd;
}

static int give_back(void)
{
	int n = count;

	while (count > 0)
		close(taken[--count]);
	return n;
}

static int open_all(void) { while (keep(open("/dev/null", O_RDONLY)) >= 0); return give_back(); }
static int dup_all(void) { while (keep(dup(0)) >= 0); return give_back(); }
static int socket_all(void) { while (keep(socket(AF_UNIX, SOCK_STREAM, 0)) >= 0); return give_back(); }
static int pipe_all(void)
{
	int two[2];

	while (pipe(two) == 0) {
		keep(two[0]);
		keep(two[1]);
	}
	return give_back();
}

static int send_one(int to, int fd)
{
	char byte = 'x', room[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = room,
			    .msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return (int)sendmsg(to, &m, 0);
}

static int receive_one(int from)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = room,
			    .msg_controllen = sizeof(room) };
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(from, &m, 0) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Until there is no room for what comes. */
static int receive_all(void)
{
	int two[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, two) != 0)
		return -1;
	keep(two[0]);
	keep(two[1]);
	while (send_one(two[0], 0) == 1 && keep(receive_one(two[1])) >= 0)
		;
	return give_back();
}

static int child_all(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(open_all());
	waitpid(pid, &status, 0);
	return status >> 8;
}

static void print_all(char line[100])
{
	snprintf(line, 100, "open %d, dup %d, socket %d, pipe %d, received %d, in a child %d",
		 open_all(), dup_all(), socket_all(), pipe_all(), receive_all(), child_all());
}

int main(int argc, char **argv)
{
	bool stays = argc > 1 && strcmp(argv[1], "stay") == 0;
	struct pollfd input = { .fd = 0, .events = POLLIN };
	struct rlimit limit;
	char at_first[100], now[100];
	int others = 0, rounds = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 16;
	setrlimit(RLIMIT_NOFILE, &limit);
	print_all(at_first);
	puts(at_first);
	fflush(stdout);
	do {
		print_all(now);
		others += strcmp(now, at_first) != 0;
		rounds++;
	} while (stays ? poll(&input, 1, 0) == 0 : rounds < 50);
	printf("another number %d times\n", others);
	return 0;
}
