/* children_end -- after a line of input children end by each door of libc's, in the memory of their
 * parent or in a copy of it.  It goes on, and ends itself at the end of the input: by _exit, in a
 * handler. */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const ends[] = { "_exit", "_Exit", "quick_exit", "exit_group" };
enum { ENDS = sizeof(ends) / sizeof(*ends) };

static void end_by(int way)
{
	if (way == 0)
		_exit(10);
	if (way == 1)
		_Exit(11);
	if (way == 2)
		quick_exit(12);
	syscall(SYS_exit_group, 13);
}

static int end_by_arg(void *way)
{
	end_by((int)(long)way);
	return 99;
}

static void say(const char *road, int way, pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, __WALL);
	printf("%s %s: %d\n", road, ends[way], WEXITSTATUS(status));
}

/* In memory: a vfork child must not change registers of its parent's. */
static volatile int way;
static volatile pid_t pid;

static void by_vfork(void)
{
	pid = vfork();
	if (pid == 0)
		end_by(way);
	say("vfork", way, pid);
}

static void by_clone(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	say("clone", way, clone(end_by_arg, stack + sizeof(stack), CLONE_VM | SIGCHLD,
				(void *)(long)way));
}

static void by_copies(void)
{
	pid = fork();
	if (pid == 0)
		end_by(way);
	say("fork", way, pid);
	/* Past libc, and past our doors. */
	pid = (pid_t)syscall(SYS_fork);
	if (pid == 0)
		end_by(way);
	say("raw fork", way, pid);
}

static void on_usr1(int signo)
{
	_exit(signo == SIGUSR1 ? 20 : 21);
}

/* True at the end of a line, false at that of the input. */
static bool read_line(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		if (c == '\n')
			return true;
	return false;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGUSR1, on_usr1);
	(void)read_line();
	for (way = 0; way < ENDS; way++) {
		by_vfork();
		by_clone();
		by_copies();
	}
	puts("ready");
	while (read_line())
		continue;
	raise(SIGUSR1);
	return 1;
}
