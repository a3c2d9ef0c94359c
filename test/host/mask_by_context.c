/* mask_by_context [spin] -- blocks SIGPROF by a road that no library sees, swapcontext, and works on for
 * a while: then nothing more may come to wait.  spin: lets it in again by the same road, says "ready",
 * and spins until the end of input. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static ucontext_t outside, inside;
static char stack[256 << 10];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static __attribute__((noinline)) void spin_after(double until)
{
	volatile uint64_t x = 1;

	do
		for (int i = 0; i < 1000000; i++)
			x = x * 3 + 1;
	while (seconds() < until);
}

static void with_sigprof_blocked(void)
{
	struct timespec now = { 0, 0 };
	sigset_t prof;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	spin_after(seconds() + 3);
	while (sigtimedwait(&prof, NULL, &now) == SIGPROF)
		continue;
	spin_after(seconds() + 0.3);
	printf("waits: %d\n", sigtimedwait(&prof, NULL, &now));
	swapcontext(&inside, &outside);
}

int main(int argc, char **argv)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };

	getcontext(&inside);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = sizeof(stack);
	sigaddset(&inside.uc_sigmask, SIGPROF);
	makecontext(&inside, with_sigprof_blocked, 0);
	swapcontext(&outside, &inside);
	puts("ready");
	fflush(stdout);
	while (argc > 1 && argv[1] != NULL && poll(&input, 1, 0) == 0)
		spin_after(0);
	return 0;
}
