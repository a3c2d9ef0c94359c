/* needs_to_be_alone -- what the kernel grants only to a process with one thread: a user namespace,
 * a mount namespace joined, and back in again; each in a child, some by raw calls. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void work(void)
{
	volatile unsigned x = 0;

	for (unsigned i = 0; i < 30000000; i++)
		x += i;
}

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result == 0 ? "ok" : strerror(errno));
}

static void new_user(void)
{
	say("unshare user", unshare(CLONE_NEWUSER));
	say("unshare mount", unshare(CLONE_NEWNS));
	say("unshare user again", unshare(CLONE_NEWUSER));
}

static void new_user_raw(void)
{
	say("raw unshare user and network", syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNET));
}

static void new_pid(void)
{
	say("unshare user and pid", unshare(CLONE_NEWUSER | CLONE_NEWPID));
	say("unshare files", unshare(CLONE_FILES));
}

static void alone(void)
{
	say("unshare thread", unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM));
}

static void join_mount(void)
{
	int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	say("unshare mount", unshare(CLONE_NEWNS));
	say("setns mount", setns(fd, CLONE_NEWNS));
	say("raw setns any", syscall(SYS_setns, fd, 0));
	errno = 0;
	say("setns of nothing", setns(-1, CLONE_NEWNS));
	close(fd);
}

int main(int argc, char **argv)
{
	static void (*const parts[])(void) = { new_user, new_user_raw, new_pid, alone, join_mount };

	(void)argv;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			work();         /* until everybody who comes with a process is there */
			parts[i]();
			work();
			exit(0);
		}
		waitpid(pid, &status, 0);
		printf("ended with %d\n", status);
	}
	if (argc > 1) {         /* in the process that was started, and then it stays */
		new_user();
		puts("ready");
		getchar();
	}
	return 0;
}
