/* sampler/countdown.h -- a thread's budget of bytes, taken from by every allocation.
 *
 * Context   the thread itself, inside handlers too: where it is one instruction, none comes
 *           between. In a handler that comes when it has just ended, a call may pass unsampled. */
#ifndef SAMPLER_COUNTDOWN_H
#define SAMPLER_COUNTDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"

/* Takes n from *left.  True if it ends with that: n is as much or more, and *left as it was.
 * Budget: one subtraction in memory and one branch. */
static inline bool countdown(uint64_t *left, size_t n)
{
	bool ends;

#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__)
	/* The flags say "below or equal" at once; of C, compilers make four instructions. */
	__asm__("sub %2, %0" : "+m"(*left), "=@ccbe"(ends) : "r"(n));
#else
	ends = n >= *left;
	*left -= n;
#endif
	if (unlikely(ends))
		*left += n;
	return unlikely(ends);
}

#endif
