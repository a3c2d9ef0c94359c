#include "sampler/cpu_perf.h"

/* The instruction leaves the address behind it in rcx, and the kernel gives both back as they were;
 * or two less, that of the instruction itself, if the call is to be made again. */
bool cpu_perf_after_call(const ucontext_t *uc)
{
	const greg_t *r = uc->uc_mcontext.gregs;

	return r[REG_RCX] == r[REG_RIP] || r[REG_RCX] == r[REG_RIP] + 2;
}
