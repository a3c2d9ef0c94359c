/* putc, which takes the lock of its FILE: free of atomics as long as libc has not seen a thread.
 * -x 1: start and join one first.
 * Usage: putc_hot [-n ops] [-x 0|1] */
#include "bench.h"

int main(int argc, char **argv)
{
	long n = opt_long(argc, argv, "-n", 100000000);
	FILE *f = fopen("/dev/null", "w");
	if (!f)
		die("/dev/null");
	setvbuf(f, NULL, _IOFBF, 1 << 16); /* few writes */
	if (opt_long(argc, argv, "-x", 0))
		go_multithreaded();
	double w = now_secs(), c = clock_secs(CLOCK_PROCESS_CPUTIME_ID);
	for (long i = 0; i < n; i++)
		putc((int)(i & 127), f);
	report("putc_hot", 1, (double)n, now_secs() - w,
	       clock_secs(CLOCK_PROCESS_CPUTIME_ID) - c);
	return 0;
}
