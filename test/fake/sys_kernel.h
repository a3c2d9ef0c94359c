/* test/fake/sys_kernel.h -- the kernel itself, for what stands in for sampler/sys_<arch>.c. */
#ifndef TEST_FAKE_SYS_KERNEL_H
#define TEST_FAKE_SYS_KERNEL_H

/* Nothing may come between the registers and the call: a sanitizer would put its own there. */
static inline __attribute__((always_inline)) long sys_kernel(long nr, long a, long b, long c, long d,
							      long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#endif
