/* many_functions [SECONDS] -- a program with as much to index as a large one has: 200,000 functions, each with its
 * name and its unwind table.  Two threads are busy in it, for so long or until they are killed. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

__asm__(".text\n"
	".altmacro\n"
	".macro one n\n"
	".type function_of_this_program_\\n, @function\n"
	"function_of_this_program_\\n:\n"
	".cfi_startproc\n"
	"push %rbx\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset %rbx, 0\n"
	"call *%rdi\n"
	"pop %rbx\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore %rbx\n"
	"ret\n"
	".cfi_endproc\n"
	".size function_of_this_program_\\n, . - function_of_this_program_\\n\n"
	".endm\n"
	".set i, 0\n"
	".rept 200000\n"
	"one %i\n"
	".set i, i + 1\n"
	".endr\n"
	".noaltmacro\n");

void function_of_this_program_199999(void (*f)(void));

static double seconds;

static void spin(void)
{
	struct timespec t, began;

	clock_gettime(CLOCK_MONOTONIC, &began);
	do
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (seconds == 0 || (double)(t.tv_sec - began.tv_sec) +
				       1e-9 * (double)(t.tv_nsec - began.tv_nsec) < seconds);
}

static void *run(void *unused)
{
	function_of_this_program_199999(spin);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	seconds = argc > 1 ? strtod(argv[1], NULL) : 0.2;
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		return 1;
	run(NULL);
	pthread_join(thread, NULL);
	printf("done\n");
	return 0;
}
