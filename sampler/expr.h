/* sampler/expr.h -- DWARF expressions as they occur in call frame information.
 *
 * Context   any, inside handlers.  No loops in an expression: its branch operations are refused.
 * Source    DWARF 5 section 2.5.  Seen in the wild: PLT stubs, signal trampolines, functions that
 *           realign their stack, OpenSSL's assembler (unwinding.md 2). */
#ifndef SAMPLER_EXPR_H
#define SAMPLER_EXPR_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/cfi.h"

/* The value of the operations in e->code, which are used up; e->regs, load and of are given, too.
 * first, unless NULL, is on the stack when they start.
 * False: an operation that is not known, a register that is not known, a failed load, or the
 * stack (CFI_EXPR_STACK) too high or too low. */
bool expr_value(struct expr *e, const uintptr_t *first, uintptr_t *value);

#endif
