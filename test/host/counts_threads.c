/* counts_threads [wait] -- looks how many threads it has after each fork, as CPython does from 3.12
 * on; and exports the name by which CPython is known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern const unsigned long Py_Version;
const unsigned long Py_Version = 0x030c0000;

static int count_threads(void)
{
	char text[1024] = "";
	FILE *f = fopen("/proc/self/stat", "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	char *p = strrchr(text, ')');

	(void)n;
	fclose(f);
	/* num_threads is field 20, the bracket ends field 2 (proc(5)). */
	for (int i = 2; i < 20; i++)
		p = strchr(p + 1, ' ');
	return atoi(p + 1);
}

static void work(void)
{
	volatile unsigned x = 0;

	for (unsigned i = 0; i < 20000000; i++)
		x += i;
}

int main(int argc, char **argv)
{
	int most = 0;

	(void)argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 40; i++) {
		pid_t pid;
		int n;

		if (i % 4 == 0)
			work();
		pid = fork();
		if (pid == 0)
			_exit(0);
		n = count_threads();
		if (n > most)
			most = n;
		waitpid(pid, NULL, 0);
	}
	printf("at most %d\n", most);
	if (argc > 1) {
		puts("ready");
		for (int i = 0; i < 20; i++)
			work();
		getchar();
	}
	return 0;
}
