/* exec_chain -- becomes itself again through each member of the exec family, with work in between, runs
 * two programs through system and posix_spawn, and ends with status 42. */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	int step = argc > 1 ? atoi(argv[1]) : 0;
	volatile uint64_t x = 1;
	char next[16], self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return 1;
	self[n] = 0;
	for (int i = 0; i < 5000000; i++)
		x = x * 3 + 1;
	snprintf(next, sizeof(next), "%d", step + 1);
	printf("step %d, %d arguments\n", step, argc);
	fflush(stdout);
	char *args[] = { argv[0], next, "an argument", NULL };

	switch (step) {
	case 0: execv(self, args); break;
	case 1: execve(self, args, environ); break;
	case 2: execvp(self, args); break;
	case 3: execl(self, argv[0], next, (char *)NULL); break;
	case 4: execlp(self, argv[0], next, "x", (char *)NULL); break;
	case 5: fexecve(open(self, O_RDONLY | O_CLOEXEC), args, environ); break;
	case 6: {
		char *echo[] = { "echo", "spawned", NULL };
		pid_t pid;
		int status = 0;

		printf("system: %d\n", system("exit 3") >> 8);
		fflush(stdout);
		if (posix_spawnp(&pid, "echo", NULL, NULL, echo, environ) == 0)
			waitpid(pid, &status, 0);
		printf("spawn: %d\n", status);
		return 42;
	}
	}
	perror("exec");
	return 1;
}
