/* sampler/hold.h -- a lock that nobody waits for, and that comes back when who has it was left.
 *
 * A handler may jump out of any function, a thread may be ended anywhere, and so may a vfork child,
 * on its parent's stack.  So who takes the lock leaves a mark in the frame from which it does, one
 * that has never been there before; the lock says where.  As long as the mark is there the lock is
 * held: nobody writes into a frame that is still in use.  When something else is there, or the
 * thread is not, it was left, and the next one inherits it, with what it protects half done.  A
 * frame that is left and not overwritten yet keeps the lock until then.
 *
 * Context   any thread, inside handlers; no loop but a bounded one.  Makes a system call only where
 *           the lock is not free, of another stack or if it is to be thorough.
 * Memory    the caller's; zero is free.
 * When full HOLD_BUSY: also where pair_can_swap says no. */
#ifndef SAMPLER_HOLD_H
#define SAMPLER_HOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/pair.h"

/* Thread << 42 | address of its hold >> 5, 0 free; how often it was taken. */
struct hold_lock { _Alignas(PAIR_ALIGN) _Atomic(uint64_t) word[2]; };

/* In the frame of the function that calls both hold_try and hold_end. */
struct hold { _Alignas(32) volatile uint64_t mark; };

enum hold_result { HOLD_BUSY, HOLD_TAKEN, HOLD_INHERITED };

/* thorough: another thread's frame is looked at, too, and whether that thread is there. */
MUST_CHECK enum hold_result hold_try(struct hold_lock *l, struct hold *h, bool thorough);
void hold_end(struct hold_lock *l, struct hold *h);

/* True if the calling thread has it, further up or in what a handler interrupted. */
MUST_CHECK bool hold_is_mine(struct hold_lock *l);

/* False: somebody has it, or was left with it. */
static inline bool hold_is_free(struct hold_lock *l)
{
	return atomic_load(&l->word[0]) == 0;
}

#endif
