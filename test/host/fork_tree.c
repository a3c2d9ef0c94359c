/* fork_tree -- forks two children, twice and twice again; each works, allocates and ends with a status
 * made of its children's.  Every process waits for one child before it makes the next, so the output
 * has one order. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int work(int level, int number)
{
	volatile uint64_t x = 1;
	char *block[100];
	int sum = 0;

	for (int i = 0; i < 100; i++) {
		block[i] = malloc(1000 + 700 * (size_t)i);
		memset(block[i], level, 1000);
	}
	for (int i = 0; i < 3000000; i++)
		x = x * 3 + 1;
	for (int i = 0; i < 100; i++) {
		sum += block[i][999];
		free(block[i]);
	}
	return sum / 100 + number;
}

static int grow(int level, int number)
{
	int sum = work(level, number);

	for (int child = 0; level < 3 && child < 2; child++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			int own = grow(level + 1, child);

			printf("level %d number %d: %d\n", level + 1, child, own);
			exit(own);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
			printf("level %d number %d: lost\n", level + 1, child);
			exit(99);
		}
		sum += WEXITSTATUS(status);
	}
	return sum;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("all: %d\n", grow(0, 0));
	return 0;
}
