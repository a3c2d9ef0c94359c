/* A file of its own, for tests that make their own time. */
#include <sys/syscall.h>

#include "sampler/os.h"
#include "sampler/sys.h"

uint64_t os_process_cpu_ns(void)
{
	struct timespec t;

	if (sys_call2(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
