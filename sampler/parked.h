/* sampler/parked.h -- the stack of a thread that does not run, walked in a copy.
 *
 * Another thread's stack may be unmapped at any moment, so it is never read in place.  In the copy
 * each word that points into the part that was copied is moved along, so that the copy is a stack
 * like any other, of which unwind.h knows the bounds; nothing outside of it is read.
 *
 * The kernel tells sp and pc, not rbp (unwinding.md 9).  Where the walk comes to a frame that needs
 * it, it is looked for: a place above sp that holds a word that points up the stack, or 0, and a
 * return address behind a call, and from which the walk reaches the outermost frame.
 *
 * Context   our thread, as the rest: one buffer.  The caller sees to it that the thread has not run
 *           meanwhile; if it has, the result is nonsense, but nothing else happens.
 * Memory    PARKED_BYTES_MAX, mapped at the first walk; what was used of it beyond
 *           PARKED_KEEP_BYTES is given back.
 * When full the stack is truncated. */
#ifndef SAMPLER_PARKED_H
#define SAMPLER_PARKED_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/limits.h"

#define PARKED_BYTES_MAX  UNKNOWN_WALK_BYTES_MAX
#define PARKED_KEEP_BYTES (64u << 10)
/* unwinding.md 9: how far up rbp is looked for. */
#define PARKED_SEARCH_BYTES (64u << 10)

/* At most max addresses to pc[], as unwind.h has them, all frames; returns how many, *truncated as
 * UNWIND_TRUNCATED.  at is the first one's address, sp its stack pointer. */
unsigned parked_walk(uintptr_t at, uintptr_t sp, uintptr_t *pc, unsigned max, bool *truncated);

#endif
