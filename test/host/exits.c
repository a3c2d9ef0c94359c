/* exits -- every way to end, each in a process of its own whose status is printed.
 * exits WAY -- that one, at the end of the input; where main leaves before, it does so at the end
 * of the first line.  Until then three threads allocate.  What still runs of the program at its
 * end (atexit, a destructor, four rounds of a key's destructor) allocates and says so. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUSY = 3 };

static pthread_t busy[BUSY];
static atomic_bool stop;
static pthread_key_t key;
static char *kept;

static void use_heap(void)
{
	char *block[20];

	for (size_t i = 0; i < 20; i++) {
		block[i] = malloc(100 + 900 * i);
		memset(block[i], 1, 100);
	}
	for (size_t i = 0; i < 20; i++)
		free(block[i]);
}

static void at_exit(void)
{
	use_heap();
	free(kept);
	dprintf(1, "atexit\n");
}

static void at_quick(void)
{
	use_heap();
	dprintf(1, "at_quick_exit\n");
}

__attribute__((destructor)) static void at_end(void)
{
	use_heap();
	dprintf(1, "destructor\n");
}

/* Sets itself again until libc gives up (PTHREAD_DESTRUCTOR_ITERATIONS). */
static void key_round(void *value)
{
	intptr_t round = (intptr_t)*(char *)value;
	char *next = malloc(5000);

	free(value);
	use_heap();
	dprintf(1, "key, round %ld\n", (long)round);
	*next = (char)(round + 1);
	pthread_setspecific(key, next);
}

static void have_key(void)
{
	char *value = malloc(5000);

	*value = 1;
	pthread_setspecific(key, value);
}

static void *be_busy(void *unused)
{
	while (!stop)
		use_heap();
	return unused;
}

static void join_busy(void)
{
	stop = true;
	for (int i = 0; i < BUSY; i++)
		pthread_join(busy[i], NULL);
}

static void end_of_line(void)
{
	char c;

	while (read(0, &c, 1) > 0 && c != '\n')
		;
}

static void end_of_input(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

static volatile int *volatile nowhere;

/* --- the ways -------------------------------------------------------------------------------- */

static void by_return(void) {}
static void by_exit(void) { exit(3); }
static void by__exit(void) { _exit(4); }
static void by__Exit(void) { _Exit(8); }
static void by_quick_exit(void) { quick_exit(5); }
static void by_exit_group(void) { syscall(SYS_exit_group, 6); }
static void by_exec(void) { execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL); }
static void by_abort(void) { abort(); }
static void by_null(void) { *nowhere = 1; }
static void by_trap(void) { __builtin_trap(); }
static void by_term(void) { kill(getpid(), SIGTERM); pause(); }
static void by_kill(void) { kill(getpid(), SIGKILL); pause(); }
static void by_pthread_exit(void) { pthread_exit(NULL); }
static void by_cancel(void) { pthread_cancel(pthread_self()); pthread_testcancel(); }

/* Who goes: main, another thread, or the last one when main has long left by pthread_exit. */
static const struct way {
	const char *name;
	void (*go)(void);
	enum { MAIN, OTHER, LAST } who;
} ways[] = {
	{ "return", by_return, MAIN },
	{ "exit", by_exit, MAIN },
	{ "_exit", by__exit, MAIN },
	{ "_Exit", by__Exit, MAIN },
	{ "quick_exit", by_quick_exit, MAIN },
	{ "exit_group", by_exit_group, MAIN },
	{ "exec", by_exec, MAIN },
	{ "abort", by_abort, MAIN },
	{ "null", by_null, MAIN },
	{ "trap", by_trap, MAIN },
	{ "term", by_term, MAIN },
	{ "kill", by_kill, MAIN },
	{ "thread-exit", by_exit, OTHER },
	{ "thread-_exit", by__exit, OTHER },
	{ "thread-quick_exit", by_quick_exit, OTHER },
	{ "thread-exec", by_exec, OTHER },
	{ "thread-abort", by_abort, OTHER },
	{ "thread-null", by_null, OTHER },
	{ "last-returns", by_return, LAST },
	{ "last-pthread_exit", by_pthread_exit, LAST },
	{ "last-cancelled", by_cancel, LAST },
	{ "last-exit", by_exit, LAST },
	{ "last-exec", by_exec, LAST },
	{ "last-abort", by_abort, LAST },
};
enum { WAYS = sizeof(ways) / sizeof(*ways) };

static void *go(void *arg)
{
	const struct way *way = arg;

	if (way->who == LAST) {
		end_of_input();
		join_busy();
	}
	have_key();
	way->go();
	return NULL;
}

static int end_by(const struct way *way)
{
	pthread_t t;

	kept = malloc(100000);
	atexit(at_exit);
	at_quick_exit(at_quick);
	pthread_key_create(&key, key_round);
	for (int i = 0; i < BUSY; i++)
		pthread_create(&busy[i], NULL, be_busy, NULL);
	if (way->who == LAST) {
		end_of_line();
		pthread_create(&t, NULL, go, (void *)way);
		pthread_exit(NULL);
	}
	end_of_input();
	if (way->who == OTHER) {
		pthread_create(&t, NULL, go, (void *)way);
		pthread_join(t, NULL);
	}
	way->go();
	return 2;
}

static int each_way(const char *self)
{
	for (const struct way *way = ways; way < ways + WAYS; way++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			execl(self, "exits", way->name, (char *)NULL);
			_exit(99);
		}
		waitpid(pid, &status, 0);
		dprintf(1, "%s: status %d signal %d\n", way->name, WEXITSTATUS(status),
			WTERMSIG(status));
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return each_way("/proc/self/exe");
	for (const struct way *way = ways; way < ways + WAYS; way++)
		if (strcmp(argv[1], way->name) == 0)
			return end_by(way);
	return 1;
}
