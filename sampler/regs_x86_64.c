/* DWARF's order is not the kernel's, nor the machine's: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8
 * to r15, return address (System V ABI, AMD64 supplement, figure 3.36). */
#include "sampler/regs.h"

#include <assert.h>
#include <stddef.h>

#include "sampler/compiler.h"

static const uint8_t order[REGS_COUNT] = {
	REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
	REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
};

HOT void regs_from_signal(struct regs *out, const ucontext_t *uc)
{
	for (unsigned n = 0; n < REGS_COUNT; n++)
		out->r[n] = (uintptr_t)uc->uc_mcontext.gregs[order[n]];
	out->known = (1u << REGS_COUNT) - 1;
}

void regs_to_signal(ucontext_t *uc, const struct regs *regs)
{
	for (unsigned n = 0; n < REGS_COUNT; n++)
		uc->uc_mcontext.gregs[order[n]] =
			regs->known >> n & 1 ? (greg_t)regs->r[n] : 0;
}

/* In assembler, because only there is it certain that nothing has moved yet.  The known ones: rbx,
 * rbp, rsp, r12 to r15, pc. */
static_assert(offsetof(struct regs, r) == 0 && offsetof(struct regs, known) == 136 &&
	      sizeof(uintptr_t) == 8, "the numbers in the assembler below");

__asm__(
"	.pushsection .text.hot.regs_here, \"ax\", @progbits\n"
"	.p2align 4\n"
"	.globl	regs_here\n"
"	.hidden	regs_here\n"
"	.type	regs_here, @function\n"
"regs_here:\n"
"	.cfi_startproc\n"
"	movq	%rbx, 3*8(%rdi)\n"
"	movq	%rbp, 6*8(%rdi)\n"
"	leaq	8(%rsp), %rax\n"
"	movq	%rax, 7*8(%rdi)\n"
"	movq	%r12, 12*8(%rdi)\n"
"	movq	%r13, 13*8(%rdi)\n"
"	movq	%r14, 14*8(%rdi)\n"
"	movq	%r15, 15*8(%rdi)\n"
"	movq	(%rsp), %rax\n"
"	movq	%rax, 16*8(%rdi)\n"
"	movl	$0x1f0c8, 136(%rdi)\n"
"	ret\n"
"	.cfi_endproc\n"
"	.size	regs_here, .-regs_here\n"
"	.popsection\n");
