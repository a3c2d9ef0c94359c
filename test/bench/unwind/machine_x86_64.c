#include "machine.h"

#include <x86intrin.h>

uint64_t machine_ticks(void)
{
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
}

__asm__(
"	.text\n"
"	.p2align 4\n"
"	.globl	machine_enter\n"
"	.type	machine_enter, @function\n"
"machine_enter:\n"
"	.cfi_startproc\n"
"	.cfi_undefined rip\n"
"	pushq	%rbp\n"
"	movq	%rsp, -16(%rdi)\n"
"	leaq	-16(%rdi), %rsp\n"
"	xorl	%ebp, %ebp\n"
"	movq	%rdx, %rdi\n"
"	call	*%rsi\n"
"	movq	(%rsp), %rsp\n"
"	popq	%rbp\n"
"	ret\n"
"	.cfi_endproc\n"
"	.size	machine_enter, .-machine_enter\n");
