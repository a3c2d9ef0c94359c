/* listen_fds -- a server that is handed its sockets from 3 on (sd_listen_fds(3)); answers every
 * connection with what it reads, until that is "end".  Without sockets it says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int listens = 0, served = 0;
	socklen_t len = sizeof(listens);
	char text[100] = "";

	if (pid == NULL || atoi(pid) != getpid() || fds == NULL) {
		puts("no sockets passed");
		return 0;
	}
	getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len);
	printf("passed %s, 3 listens %d, next free %d\n", fds, listens, dup(0));
	fflush(stdout);
	while (strcmp(text, "end") != 0) {
		int fd = accept(3, NULL, NULL);
		ssize_t n;

		if (fd < 0)
			return 1;
		n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		if (n > 0 && write(fd, text, (size_t)n) == n)
			served++;
		close(fd);
	}
	printf("served %d\n", served);
	return 0;
}
