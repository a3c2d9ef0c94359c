/* sampler/rules.h -- the unwind rules of code addresses seen before: the layer in front of cfi.h.
 *
 * A rule is what nearly every row comes down to (96 % of code bytes, unwinding.md 2): the CFA is sp
 * or bp plus a number, the return address is below it, bp is unchanged or saved at a known
 * distance.  It says nothing of the other registers.
 *
 * Context   any, inside handlers.  One shared array of relaxed 8-byte words: a race loses an entry
 *           or writes it twice, never tears one.
 * Memory    128 KiB, touched as it fills.  When full an entry is overwritten. */
#ifndef SAMPLER_RULES_H
#define SAMPLER_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/cfi.h"

/* 29 bits: 0-1 RULES_BASE_BP or not, 3-17 the CFA's distance (a multiple of 8, so the bits are the
 * number), 18-28 where bp was saved: 8 times this below the CFA; 0: it was not. */
#define RULES_NONE 0u

static inline bool rules_base_is_bp(uint32_t rule) { return rule & 1; }
static inline uintptr_t rules_cfa_offset(uint32_t rule) { return rule & 0x3fff8; }
static inline uintptr_t rules_bp_offset(uint32_t rule) { return (uintptr_t)(rule >> 18) * 8; }

/* RULES_NONE: not here. */
uint32_t rules_find(uintptr_t pc);

/* Remember the row, if it is a rule.  Only for code that stays mapped for ever. */
void rules_add(uintptr_t pc, const struct cfi_row *row);

#endif
