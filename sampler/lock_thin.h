/* sampler/lock_thin.h -- of releases of one lock that come by the hundred thousand a second while
 * somebody waits, a few are charged, each for those that are left out.
 *
 * What is charged is the time between two releases.  So it is chosen at the first of the two, by
 * chance, one in 4^shift: there all waiters begin anew, and nobody is charged; and the second is
 * charged 4^shift times.  The others only look at the lock's cell.
 *
 *     charged x 1   looks   looks   first ........ charged x 8   looks ...
 *
 * How likely that is follows from what was before, so all sums keep their mean.  A lock that is
 * released less than 10,000 times a second while somebody waits has shift 0: every release is
 * charged.
 *
 * A cell is of all locks with one hash (locks.h), and has in 16 bits how many chosen waits there
 * are, how many locks are between the first and the second, and the shift.
 *
 * Context   any thread, inside handlers; lock-free.  Two releases at one moment (readers) may
 *           choose for each other. */
#ifndef SAMPLER_LOCK_THIN_H
#define SAMPLER_LOCK_THIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

#define LOCK_CELL_WAITS      0x00ffu    /* at 255 it stays */
#define LOCK_CELL_BETWEEN    0x1f00u    /* at 31 it stays, until nobody waits */
#define LOCK_CELL_ONE        0x0100u
#define LOCK_CELL_SHIFT_AT   13
#define LOCK_CELL_SHIFT(was) ((unsigned)(was) >> LOCK_CELL_SHIFT_AT)

#define LOCK_THIN_MAX   7
/* One in so many. */
#define LOCK_THIN_OF(shift) (UINT32_C(1) << 2 * (shift))
/* So many charges in less time make the shift one more, in more than the other one less. */
#define LOCK_THIN_TAKEN 32
#define LOCK_THIN_MANY  (LOCK_THIN_TAKEN * UINT64_C(100000))    /* ns */
#define LOCK_THIN_FEW   (LOCK_THIN_TAKEN * UINT64_C(800000))

/* Of a slot; all zero: nothing yet. */
struct lock_thin {
	_Atomic uint32_t times;         /* what the next release is charged; 0: it is no second */
	_Atomic uint32_t taken;
	_Atomic uint64_t since_ns;
};

/* draw: 64 random bits, of which the upper ones are good (random.h). */
static inline bool lock_thin_chooses(unsigned shift, uint64_t draw)
{
	return (draw >> (64 - 2 * LOCK_THIN_MAX) & (LOCK_THIN_OF(shift) - 1)) == 0;
}

/* False: this release is neither a first nor a second, by the same draw as lock_thin_take's. */
static inline bool lock_thin_may_take(unsigned cell, uint64_t draw)
{
	return (cell & LOCK_CELL_BETWEEN) != 0 || lock_thin_chooses(LOCK_CELL_SHIFT(cell), draw);
}

/* A wait is chosen, and is over. */
void lock_thin_come(_Atomic uint16_t *cell);
void lock_thin_go(_Atomic uint16_t *cell);

/* The first waiter is about to come to a slot: the release after that is a second, or not. */
void lock_thin_begin(struct lock_thin *t, _Atomic uint16_t *cell, uint64_t draw);

/* At a release.  False: nothing is to be done.  *times: what it is charged; 0: it is a first. */
bool lock_thin_take(struct lock_thin *t, _Atomic uint16_t *cell, uint64_t draw, uint32_t *times);
/* It was done: all waiters have begun anew. */
void lock_thin_taken(struct lock_thin *t, _Atomic uint16_t *cell, uint64_t at_ns);

#endif
