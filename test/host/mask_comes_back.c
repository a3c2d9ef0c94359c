/* mask_comes_back unblock|jump -- blocks SIGPROF, lets it in again (by sigprocmask, or as siglongjmp
 * does, which no library sees), says "ready" and spins until its standard input ends. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static sigjmp_buf back;

static __attribute__((noinline)) void spin_after(void)
{
	volatile unsigned long x = 1;

	for (int i = 0; i < 10000000; i++)
		x = x * 3 + 1;
}

int main(int argc, char **argv)
{
	struct pollfd input = { STDIN_FILENO, POLLIN, 0 };
	sigset_t prof;

	sigemptyset(&prof);
	sigaddset(&prof, SIGPROF);
	if (argc > 1 && strcmp(argv[1], "jump") == 0) {
		if (sigsetjmp(back, 1) == 0) {
			sigprocmask(SIG_BLOCK, &prof, NULL);
			siglongjmp(back, 1);
		}
	} else {
		sigprocmask(SIG_BLOCK, &prof, NULL);
		sigprocmask(SIG_UNBLOCK, &prof, NULL);
	}
	puts("ready");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		spin_after();
	return 0;
}
