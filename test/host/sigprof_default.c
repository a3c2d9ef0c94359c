/* sigprof_default -- SIGPROF at its default ends a program; it must end this one. */
#include <signal.h>
#include <stdio.h>

int main(void)
{
	puts("raising");
	fflush(stdout);
	raise(SIGPROF);
	puts("still here");
	return 0;
}
