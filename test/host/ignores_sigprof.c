/* ignores_sigprof [spin] -- ignores SIGPROF, and not any more: the kernel must know it, for that is
 * what the programs that it execs inherit.  spin: ignores it while it spins in one function, until a
 * line of input, then handles it and spins in another until the end of input. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void on_prof(int signo) { handled += signo == SIGPROF; }

static void burn(void)
{
	volatile uint64_t x = 1;

	for (int i = 0; i < 30000000; i++)
		x = x * 3 + 1;
}

/* Is it in a line of /proc/self/status? */
static int kernel_has(const char *line)
{
	unsigned long long set = 0;
	char text[512], *at;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(text, sizeof(text), f) != NULL)
		if (strncmp(text, line, strlen(line)) == 0)
			set = strtoull(strchr(text, '\t') + 1, &at, 16);
	if (f != NULL)
		fclose(f);
	return (int)(set >> (SIGPROF - 1) & 1);
}

static void exec_self(const char *how)
{
	int status;

	fflush(stdout);
	if (vfork() == 0) {
		execl("/proc/self/exe", "ignores_sigprof", how, (char *)NULL);
		_exit(127);
	}
	wait(&status);
	printf("status %x\n", (unsigned)status);
}

static void say(const char *when)
{
	struct sigaction act;

	burn();
	sigaction(SIGPROF, NULL, &act);
	printf("%s: kernel ignores %d, %s\n", when, kernel_has("SigIgn:"),
	       act.sa_handler == SIG_IGN   ? "ignored"
	       : act.sa_handler == SIG_DFL ? "default"
					   : "handled");
}

static __attribute__((noinline)) void spin_ignoring(struct pollfd *input)
{
	while (poll(input, 1, 0) == 0)
		burn();
}

static __attribute__((noinline)) void spin_handling(struct pollfd *input)
{
	while (poll(input, 1, 0) == 0)
		burn();
}

static void spin(void)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	char line[80];

	signal(SIGPROF, SIG_IGN);
	puts("ignoring");
	fflush(stdout);
	spin_ignoring(&input);
	(void)!read(STDIN_FILENO, line, sizeof(line));
	signal(SIGPROF, on_prof);
	puts("handling");
	fflush(stdout);
	spin_handling(&input);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = SIG_IGN, .sa_flags = SA_NODEFER };

	if (argc > 1 && strcmp(argv[1], "spin") == 0) {
		spin();
		return 0;
	}
	say(argc > 1 ? argv[1] : "at first");
	raise(argc > 1 && strcmp(argv[1], "inherited") == 0 ? SIGPROF : SIGURG);
	if (argc > 1)
		return 0;
	signal(SIGPROF, SIG_IGN);
	say("signal");
	raise(SIGPROF);
	kill(getpid(), SIGPROF);
	exec_self("inherited");
	signal(SIGPROF, on_prof);
	say("handler");
	raise(SIGPROF);
	exec_self("after a handler");
	sigaction(SIGPROF, &act, NULL);
	say("sigaction");
	printf("flags %x\n", sigaction(SIGPROF, NULL, &act) == 0 ? (unsigned)act.sa_flags : 0);
	exec_self("inherited");
	signal(SIGPROF, SIG_DFL);
	say("default");
	exec_self("after default");
	printf("handled %d\n", (int)handled);
	return 0;
}
