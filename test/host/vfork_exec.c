/* vfork_exec [ROUNDS] -- vfork children that exec, fail to exec, exit at once, and allocate before they do. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int result_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

/* In memory, not in registers, which a vfork child would change for itself alone. */
static void *volatile p;
static volatile int i;
static volatile uint64_t x = 1;

int main(int argc, char **argv)
{
	int sum[3] = { 0 }, rounds = argc > 1 ? atoi(argv[1]) : 300;

	p = malloc(100000);
	for (i = 0; i < rounds; i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		sum[0] += result_of(pid);
		pid = vfork();
		if (pid == 0) {
			execl("/nonexistent", "nonexistent", (char *)NULL);
			_exit(7);
		}
		sum[1] += WEXITSTATUS(result_of(pid));
		pid = vfork();
		if (pid == 0) {
			/* The child runs in our memory: what it takes is ours afterwards. */
			free(p);
			p = malloc(1000 + 10000 * (size_t)(i % 70));
			for (int k = 0; k < 100000; k++)
				x = x * 3 + 1;
			_exit(p == NULL);
		}
		sum[2] += result_of(pid);
		for (int k = 0; k < 100000; k++)
			x = x * 3 + 1;
	}
	free(p);
	printf("true %d, not there %d, allocates %d\n", sum[0], sum[1], sum[2]);
	return 0;
}
