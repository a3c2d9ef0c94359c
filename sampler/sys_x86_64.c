/* x86-64: the number in rax, arguments in rdi, rsi, rdx, r10, r8, r9; the kernel clobbers rcx and
 * r11 (System V ABI, AMD64 supplement, A.2.1). */
#include "sampler/sys.h"

long sys_call6(long nr, long a, long b, long c, long d, long e, long f)
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
