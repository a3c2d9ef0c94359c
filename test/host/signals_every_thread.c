/* signals_every_thread [wait] -- as libpsx does from 2.72 on before it changes an identity: libc's own
 * signal for that to every thread there is, and then it waits until each has taken it or is gone. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SETXID 33

/* How many other threads there are; each gets the signal the first time. */
static int others(int send)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)) != NULL) {
		pid_t tid = atoi(e->d_name);

		if (tid == 0 || tid == getpid())
			continue;
		if (send)
			syscall(SYS_tkill, tid, SETXID);
		n++;
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	volatile unsigned x = 0;

	(void)argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	usleep(100000);         /* for whoever else begins at the start */
	others(1);
	for (int i = 0; i < 5000 && others(0) != 0; i++)
		usleep(1000);
	printf("others: %d\n", others(0));
	if (argc > 1) {
		for (unsigned i = 0; i < 400000000; i++)
			x += i;
		puts("ready");
		getchar();
	}
	return 0;
}
