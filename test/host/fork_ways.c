/* fork_ways -- makes children in every way there is, five times each, and says how they ended,
 * which of the fork handlers ran, whether one had a second task before it was done, and how often
 * malloc was called in a child before its own first line (by malloc_calls(), if the program has
 * such a thing). */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
extern unsigned long malloc_calls(void) __attribute__((weak));

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned long calls_before;
static int handlers;

static unsigned long calls(void)
{
	return malloc_calls != NULL ? malloc_calls() : 0;
}

static void prepare(void) { pthread_mutex_lock(&mutex); free(malloc(10000)); calls_before = calls(); }
static void in_parent(void) { pthread_mutex_unlock(&mutex); free(malloc(20000)); handlers += 1; }
static void in_child(void) { pthread_mutex_unlock(&mutex); handlers += 100; }

/* After a millisecond of CPU time there may be more: a child that lives gets a desk. */
static int has_one_task(void)
{
	char text[512];
	int fd = open("/proc/self/stat", O_RDONLY), tasks = 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	struct timespec t;
	char *at;

	close(fd);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	if (at != NULL)
		sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			       "%*d %d", &tasks);
	return tasks == 1 || t.tv_sec > 0 || t.tv_nsec > 900000;
}

static int first_lines(void)
{
	unsigned long n = calls() - calls_before;
	int one = has_one_task();

	free(malloc(5000));
	return n != 0 ? 70 : !one ? 71 : 40;
}

static void become_true(void)
{
	execl("/bin/sh", "sh", "-c", "exit 41", (char *)NULL);
	_exit(99);
}

static int run_clone(void *unused)
{
	(void)unused;
	become_true();
	return 0;
}

static pid_t by_fork(void) { pid_t pid = fork(); if (pid == 0) _exit(first_lines()); return pid; }
static pid_t by_fork_exit(void) { pid_t pid = fork(); if (pid == 0) exit(first_lines()); return pid; }
static pid_t by_fork_exec(void) { pid_t pid = fork(); if (pid == 0) become_true(); return pid; }
static pid_t by_vfork(void) { pid_t pid = vfork(); if (pid == 0) become_true(); return pid; }
/* Without libc's handlers: a child that libc and we hear nothing of. */
static pid_t by__Fork(void)
{
	pid_t pid = _Fork();

	if (pid == 0)
		_exit(has_one_task() ? 40 : 71);
	return pid;
}

static pid_t by_raw_fork(void)
{
	pid_t pid = (pid_t)syscall(SYS_fork);

	if (pid == 0) {
		free(malloc(1 << 20));
		_exit(40);
	}
	return pid;
}
static pid_t by_raw_clone(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		free(malloc(1 << 20));
		become_true();
	}
	return pid;
}
static pid_t by_clone_vfork(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	return clone(run_clone, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
}
static pid_t by_clone_copy(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));

	return clone(run_clone, stack + sizeof(stack), SIGCHLD, NULL);
}
static pid_t by_spawn(void)
{
	char *argv[] = { "sh", "-c", "exit 41", NULL };
	pid_t pid = -1;

	return posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static const struct { const char *name; pid_t (*make)(void); } ways[] = {
	{ "fork", by_fork },           { "fork and exit", by_fork_exit },
	{ "fork and exec", by_fork_exec }, { "vfork", by_vfork },
	{ "_Fork", by__Fork },         { "raw fork", by_raw_fork },
	{ "raw clone", by_raw_clone }, { "clone as vfork", by_clone_vfork },
	{ "clone as fork", by_clone_copy }, { "posix_spawn", by_spawn },
};

static void *all_ways(void *where)
{
	for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
		printf("%s, %s:", (const char *)where, ways[w].name);
		fflush(stdout);
		handlers = 0;
		for (int i = 0; i < 5; i++) {
			int status = -1;
			pid_t pid = ways[w].make();

			free(malloc(100000));
			waitpid(pid, &status, 0);
			printf(" %d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
			fflush(stdout);
		}
		printf(", handlers %d\n", handlers);
	}
	return NULL;
}

static void by_shell(void)
{
	char line[100] = "";
	FILE *f = popen("read x; echo \"got $x\"; exit 5", "w");

	printf("system %d\n", system("exit 9") >> 8);
	fflush(stdout);
	fputs("this\n", f);
	printf("popen %d\n", pclose(f) >> 8);
	f = popen("echo that; exit 6", "r");
	if (fgets(line, sizeof(line), f) != NULL)
		printf("popen %s", line);
	printf("popen %d\n", pclose(f) >> 8);
}

int main(void)
{
	pthread_t t;
	char c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	pthread_atfork(prepare, in_parent, in_child);
	all_ways("from main");
	by_shell();
	pthread_create(&t, NULL, all_ways, "from a thread");
	pthread_join(t, NULL);
	all_ways("from main again");
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
