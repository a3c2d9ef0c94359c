/* A futex says nothing of what it is for.  One use can be told: the lock of three states, 0 free, 1
 * held, 2 held and somebody may wait (U. Drepper, Futexes Are Tricky, mutex 2; Rust's std, and
 * gperftools' spin locks).  It is waited for with 2, and given back by a wake of one when it has
 * become 0; by then another may have taken it, so it is 0, 1 or 2.  A condition's counter or a
 * latch may be at 2 as well: so a word has to be waited for with 2 some times and with nothing
 * else; a wake of all, or another value at a wake of one, says that it is none.
 *
 * Those and the kernel's own locks with priority inheritance are locks; all other waits are pauses.
 * parking_lot and absl wait on a word of the thread, for locks and conditions alike: pauses.
 *
 * The word itself is never read: once it is free its memory may go.  The kernel compares it. */
#include "preload/hook_futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "preload/real.h"
#include "sampler/locks.h"
#include "sampler/sys.h"
#include "sampler/threads.h"

#define AWAITED 2                       /* the third state */

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13               /* since Linux 5.14 */
#endif

/* --- what is known of a word ----------------------------------------------------------------- */

/* By hash of the address, without a second place: who is put out is learned again. */
enum { WORDS = 512, LEARNED = 4, CONFIRMED = 5, NO_LOCK = 255 };

static _Atomic uint64_t words[WORDS];   /* address << 8 | what is known; 0: nothing */

static _Atomic uint64_t *place_of(uintptr_t word)
{
	return &words[(uint32_t)(word >> 2) * 2654435769u >> 23];
}

static unsigned known_of(uintptr_t word)
{
	uint64_t e = atomic_load_explicit(place_of(word), memory_order_relaxed);

	return e >> 8 == word ? (unsigned)(e & 255) : 0;
}

static void learn(uintptr_t word, unsigned known)
{
	atomic_store_explicit(place_of(word), (uint64_t)word << 8 | known, memory_order_relaxed);
}

/* True if this is a wait for a lock, as far as is known. */
static bool looks_like_lock(uintptr_t word, uint32_t value)
{
	unsigned known = known_of(word);

	if (value != AWAITED) {
		if (known != 0 && known != NO_LOCK)
			learn(word, NO_LOCK);
		return false;
	}
	if (known < LEARNED)
		learn(word, known + 1);
	return known == LEARNED || known == CONFIRMED;
}

/* Requeues none of its waiters, if it has this value: the kernel's way to compare. */
static bool has_value(uintptr_t word, long op, uint32_t value)
{
	return sys_call6(SYS_futex, (long)word, FUTEX_CMP_REQUEUE | (op & FUTEX_PRIVATE_FLAG), 0, 0,
			 (long)word, value) == 0;
}

static bool gives_back(uintptr_t word, long op, uint32_t woken)
{
	unsigned known = known_of(word);

	if (known == CONFIRMED && woken == 1)
		return true;
	if (known != LEARNED && known != CONFIRMED)
		return false;
	if (woken != 1 || !(has_value(word, op, 0) || has_value(word, op, 1) ||
			    has_value(word, op, AWAITED))) {
		learn(word, NO_LOCK);
		return false;
	}
	learn(word, CONFIRMED);
	return true;
}

/* --- the calls ------------------------------------------------------------------------------- */

/* The kernel takes an int, and so do we: what is above it may be anything. */
static int command(long op)
{
	return (int)op & FUTEX_CMD_MASK;
}

static bool is_kernels_lock(long op)
{
	return command(op) == FUTEX_LOCK_PI || command(op) == FUTEX_LOCK_PI2;
}

static bool is_plain_wait(long op)
{
	return command(op) == FUTEX_WAIT || command(op) == FUTEX_WAIT_BITSET;
}

/* Who was woken has to look whether it can have the lock, but not where the kernel gives it. */
static enum locks_end end_of(long op, long result)
{
	if (result == 0 && is_kernels_lock(op))
		return LOCKS_GOT;
	return result >= 0 || errno == ETIMEDOUT || errno == EINTR ? LOCKS_WAITED : LOCKS_REFUSED;
}

long hook_futex_later(long nr, long a, long b, long c, long d, long e, long f)
{
	/* Of several words nobody can say which one it is about. */
	const void *on = nr == SYS_FUTEX_WAIT ? (const void *)a : NULL;
	struct locks_wait pause;
	long result;

	locks_pause_begin(&pause, on);
	result = real.syscall(nr, a, b, c, d, e, f);
	locks_pause_end(&pause, end_of(FUTEX_WAIT, result));
	return result;
}

static long wait(long word, long op, long value, long timeout, long word2, long value3)
{
	struct locks_wait w;
	long result;

	if (is_kernels_lock(op) ||
	    (is_plain_wait(op) && looks_like_lock((uintptr_t)word, (uint32_t)value))) {
		locks_wait_begin(&w, (const void *)word);
		w.perhaps = is_plain_wait(op);
		result = real.syscall(SYS_futex, word, op, value, timeout, word2, value3);
		locks_wait_end(&w, end_of(op, result));
	} else {
		locks_pause_begin(&w, (const void *)word);
		result = real.syscall(SYS_futex, word, op, value, timeout, word2, value3);
		locks_pause_end(&w, end_of(op, result));
	}
	return result;
}

static bool is_release(long word, long op, long woken)
{
	/* Sealed: has_value's call is not to be made. */
	if (!locks_is_awaited((const void *)word) || threads_sealed())
		return false;
	if (command(op) == FUTEX_WAKE)
		return gives_back((uintptr_t)word, op, (uint32_t)woken);
	return command(op) == FUTEX_UNLOCK_PI;
}

long hook_futex(long word, long op, long value, long timeout, long word2, long value3)
{
	struct locks_charge charge;
	long result;

	if (is_plain_wait(op) || is_kernels_lock(op) ||
	    command(op) == FUTEX_WAIT_REQUEUE_PI)
		return wait(word, op, value, timeout, word2, value3);
	if (!is_release(word, op, value))
		return real.syscall(SYS_futex, word, op, value, timeout, word2, value3);
	locks_release_begin(&charge, (const void *)word);
	result = real.syscall(SYS_futex, word, op, value, timeout, word2, value3);
	locks_release_end(&charge);
	return result;
}
