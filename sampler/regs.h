/* sampler/regs.h -- registers of a point in a thread: of the caller, or of what a signal
 * interrupted.  Numbers are DWARF's for the CPU (x86-64: psABI figure 3.36), the last one is
 * the program counter. */
#ifndef SAMPLER_REGS_H
#define SAMPLER_REGS_H

#include <stdint.h>
#include <ucontext.h>

#define REGS_COUNT 17           /* x86-64: 0..15 general, 16 the return address column */
#define REGS_BP    6
#define REGS_SP    7
#define REGS_PC    16
#define REGS_BIT(reg) (1u << (reg))

struct regs {
	uintptr_t r[REGS_COUNT];
	uint32_t  known;        /* bit n: r[n] holds a value */
};

/* Context: a signal handler's third argument.  All registers are known. */
void regs_from_signal(struct regs *out, const ucontext_t *uc);
/* The other way, into those fields of uc alone.  What is not known is 0 there. */
void regs_to_signal(ucontext_t *uc, const struct regs *regs);

/* The registers of the caller, right after this call returns: pc, sp and the ones that a called
 * function must preserve are known.  Never inlined: regs_<arch>.c, in assembler. */
void regs_here(struct regs *out);

#endif
