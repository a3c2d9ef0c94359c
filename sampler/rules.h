/* sampler/rules.h -- unwind rules: what nearly every row comes down to, in 29 bits, and the rules
 * of code addresses seen before.
 *
 * A rule says how to get a frame's return address, stack pointer and frame pointer; it says nothing
 * of the other registers.  Rows compiled ahead (rows.h) are rules too.
 *
 * Context   any, inside handlers.  One shared array of relaxed 8-byte words: a race loses an entry
 *           or writes it twice, never tears one.
 * Memory    128 KiB, touched as it fills.  When full an entry is overwritten.
 * Source    unwinding.md 2 (census of 2,263 objects) and 3a. */
#ifndef SAMPLER_RULES_H
#define SAMPLER_RULES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/cfi.h"
#include "sampler/compiler.h"

/* Bits 0-2.  A frame's CFA (canonical frame address) is its caller's stack pointer; the return
 * address is right below it. */
enum rules_kind {
	RULES_SP,               /* CFA = sp + n; bp saved at the CFA - m, or not at all */
	RULES_BP,               /* CFA = bp + n; likewise */
	RULES_BP_LOAD,          /* CFA = *(bp - n); bp saved at bp: gcc's realigned stacks */
	RULES_SP_LOAD,          /* CFA = *(sp + n) + 8; bp as for RULES_SP: OpenSSL's assembler */
	RULES_PLT,              /* CFA = sp + 8, or sp + 16 from byte n of each 16 on */
	RULES_END,              /* the outermost frame */
	RULES_UNDESCRIBED,      /* no table covers this address */
	RULES_ASK,              /* it takes the tables themselves: cfi.h */
};

/* Not a rule: nothing is known.  (RULES_SP with n 0 makes no sense.) */
#define RULES_NONE 0u
#define RULES_BITS 29

static inline enum rules_kind rules_kind(uint32_t rule)
{
	return (enum rules_kind)(rule & 7);
}

/* True for the three that are nearly all. */
static inline bool rules_is_plain(uint32_t rule) { return (rule & 7) <= RULES_BP_LOAD; }
/* Bits 3-17: n, a multiple of 8, so the bits are the number.  (RULES_PLT: 8 n.) */
static inline uintptr_t rules_offset(uint32_t rule) { return rule & 0x3fff8; }
/* Bits 18-28: m / 8; 0: bp is as it was. */
static inline uintptr_t rules_bp_offset(uint32_t rule) { return (uintptr_t)(rule >> 18) * 8; }

/* What row comes down to.  object: for its expressions. */
uint32_t rules_from_row(const struct cfi_object *object, const struct cfi_row *row);

/* The rule of one address, from that of a range: what RULES_PLT means at pc. */
uint32_t rules_at(uint32_t rule, uintptr_t pc);

/* Pairs of words.  The pair is the low bits of pc, mixed with the next ones; a word keeps the bits
 * above and the rule: together they are the whole pc, so there are no false hits. */
#define RULES_PAIR_BITS 13
extern HIDDEN _Atomic uint64_t rules_word[2u << RULES_PAIR_BITS];

static inline _Atomic uint64_t *rules_pair(uintptr_t pc)
{
	return &rules_word[2 * ((pc ^ pc >> RULES_PAIR_BITS) & ((1u << RULES_PAIR_BITS) - 1))];
}

/* RULES_NONE: not here. */
static inline uint32_t rules_find(uintptr_t pc)
{
	_Atomic uint64_t *pair = rules_pair(pc);
	uint64_t word = atomic_load_explicit(&pair[0], memory_order_relaxed);

	if (word >> RULES_BITS != pc >> RULES_PAIR_BITS)
		word = atomic_load_explicit(&pair[1], memory_order_relaxed);
	if (word >> RULES_BITS != pc >> RULES_PAIR_BITS)
		return RULES_NONE;
	return (uint32_t)(word & ((UINT64_C(1) << RULES_BITS) - 1));
}

/* Only for code that stays mapped for ever. */
void rules_add(uintptr_t pc, uint32_t rule);

#endif
