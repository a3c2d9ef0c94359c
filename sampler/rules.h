/* sampler/rules.h -- unwind rules: what nearly every row comes down to, in 29 bits, and the rules
 * of code addresses seen before.
 *
 * A rule says how to get a frame's return address, stack pointer and frame pointer; it says nothing
 * of the other registers.  Rows compiled ahead (rows.h) are rules too.
 *
 * Context   any, inside handlers.  One shared array of relaxed 8-byte words: a race loses an entry
 *           or writes it twice, never tears one.
 * Memory    128 KiB, touched as it fills.  When full a rule is overwritten.
 * Source    unwinding.md 2 (census of 2,263 objects) and 3a. */
#ifndef SAMPLER_RULES_H
#define SAMPLER_RULES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
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

/* Words.  The place of an address is its low bits (one more: those of the return address that it is
 * mostly before).  A word is a rule, mixed with what its place does not say of the address: only
 * with the same address it is a rule again, so there are no false hits.  RULES_GROUP neighbours
 * stand in for each other: what another address pushed out is beside its place. */
#define RULES_PLACE_BITS 14
#define RULES_GROUP      4u
extern HIDDEN _Atomic uint64_t rules_word[1u << RULES_PLACE_BITS];

static inline size_t rules_place(uintptr_t pc)
{
	return (pc + 1) & (((size_t)1 << RULES_PLACE_BITS) - 1);
}

/* Above the bits of a rule: those above the place, and the two that a group does not say.  One is
 * added, so that no address gets a rule from a word that was never written; but the last ones below
 * 2^47, where no code is. */
static inline uint64_t rules_above(uintptr_t pc) { return pc + 1 + (1u << RULES_PLACE_BITS); }

static inline bool rules_may_know(uintptr_t pc) { return ((pc + 1) | rules_above(pc)) >> 47 == 0; }

static inline uint64_t rules_mix(uintptr_t pc)
{
	return rules_above(pc) << (RULES_BITS - RULES_PLACE_BITS) ^ (pc + 1) << 62;
}

static inline uint64_t rules_at_place(size_t place)
{
	return atomic_load_explicit(&rules_word[place], memory_order_relaxed);
}

/* Of a word, unmixed. */
static inline bool rules_is_rule(uint64_t found) { return found >> RULES_BITS == 0; }

/* Not at its place. */
static inline uint32_t rules_find_beside(uintptr_t pc)
{
	for (size_t i = 1; i < RULES_GROUP; i++) {
		uint64_t found = rules_at_place(rules_place(pc) ^ i) ^ rules_mix(pc);

		if (rules_is_rule(found))
			return (uint32_t)found;
	}
	return RULES_NONE;
}

/* RULES_NONE: not here. */
static inline uint32_t rules_find(uintptr_t pc)
{
	uint64_t found = rules_at_place(rules_place(pc)) ^ rules_mix(pc);

	if (unlikely(!rules_may_know(pc)))
		return RULES_NONE;
	return likely(rules_is_rule(found)) ? (uint32_t)found : rules_find_beside(pc);
}

/* Only for code that stays mapped for ever. */
void rules_add(uintptr_t pc, uint32_t rule);

#endif
