/* closes_all_fds -- does what daemons do: closes every descriptor that it did not open, twice, and goes on
 * opening its own, working and forking. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void work(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 100000000; i++)
		x = x * 3 + 1;
	free(malloc(1 << 26));
}

int main(void)
{
	int fds[100], sum = 0, status;

	for (int fd = 3; fd < 65536; fd++)
		close(fd);
	work();
	for (int i = 0; i < 100; i++)
		sum += fds[i] = open("/dev/null", O_RDWR);
	printf("first %d, sum %d\n", fds[0], sum);
	work();
	close_range(3, ~0u, 0);
	for (int i = 0; i < 800; i++)     /* below where ours are, where they are among these */
		sum += open("/dev/zero", O_RDWR);
	work();
	for (int fd = 3; fd < 803; fd++) {
		char c = 1;

		if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1 || c != 0) {
			printf("descriptor %d is not mine any more\n", fd);
			return 1;
		}
	}
	printf("sum %d\n", sum);
	fflush(stdout);
	if (fork() == 0) {
		work();
		_exit(5);
	}
	wait(&status);
	printf("child: %d\n", WEXITSTATUS(status));
	return 0;
}
