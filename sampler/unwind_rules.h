/* sampler/unwind_rules.h -- the part of a walk that rules say (rules.h): nearly all of it.
 *
 * Context   any thread, inside handlers and inside malloc, as unwind.h.
 * When full rules are overwritten; what is not there is looked up in the tables again. */
#ifndef SAMPLER_UNWIND_RULES_H
#define SAMPLER_UNWIND_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/rules.h"
#include "sampler/unwind.h"

/* What is known of a frame that was arrived at by a rule. */
#define UNWIND_RULE_REGS (REGS_BIT(REGS_PC) | REGS_BIT(REGS_SP) | REGS_BIT(REGS_BP))

/* Nothing is ever mapped below or above. */
#define UNWIND_PC_MIN   ((uintptr_t)4096)
#define UNWIND_PC_LIMIT ((uintptr_t)1 << 47)

static inline bool unwind_rules_is_address(uintptr_t pc)
{
	return pc >= UNWIND_PC_MIN && pc < UNWIND_PC_LIMIT;
}

/* The rule of this address, from the tables.  Never RULES_NONE. */
uint32_t unwind_rules_look(uintptr_t at, struct unwind_work *work);

static inline uint32_t unwind_rules_find(uintptr_t at, struct unwind_work *work)
{
	uint32_t rule = rules_find(at);

	return likely(rule != RULES_NONE) ? rule : unwind_rules_look(at, work);
}

/* On from w->regs, as far as the rules lead that are nearly all, on a stack that we know; where it
 * is as it was the last time, by that.  All loads are within the stack.  True: to the outermost
 * frame. */
bool unwind_rules_walk(struct unwind_walk *w);

#endif
