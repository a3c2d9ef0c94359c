/* sampler/mapped.h -- the profile of mapped memory: who has mapped what is there.
 *
 * Doors of mmap, munmap, mremap, brk and sbrk tell of every call for anonymous memory: these are
 * rare, so each counts, with its stack, for one object and its bytes.  What is live is known range
 * by range (mapped_ranges.h): a part that is unmapped, or mapped over, is no longer the one's who
 * mapped it; an object is gone with its last byte.  What a mremap adds is the mremap's; what it
 * moves is freed, and new at the mremap.
 *
 *     munmap   ticket  ->  the real call  ->  [ gone, of what is older than the ticket ] -+
 *     mmap     the real call  ->  stack, row, noted  ->  [ new ] ------------------------+
 *                                                                                        v
 *     whoever finds the table free:   ranges, counters   <--   queue of events (mapped_queue.h)
 *
 * Nobody waits: a door puts its event into a queue, and then works off the queue if nobody else is
 * at it.  Nobody blocks signals: a handler that interrupts a door may map memory, jump away or end
 * the thread.  An event is said by one instruction; a change of the table is written down before it
 * is made, and who is left in the midst of it leaves the table to the next one (hold.h,
 * mapped_ranges.h).
 *
 * Addresses are used again: between a munmap and its event another thread may have been given the
 * address, and have said so.  So a munmap draws a ticket before the real call, and takes away only
 * what was said before that; one that fails has changed nothing.
 *
 * libc maps without a door (stacks of threads, arenas and large blocks of malloc), a program by
 * system calls, and before us.  mapped_compare counts these from /proc/thread-self/maps, on frames
 * that are no code, when somebody asks for the profile.
 *
 * Context   any thread, inside handlers, inside the host's malloc, in a vfork child.  Where the
 *           host filters its system calls (threads_seal) nothing is recorded any more.
 * Memory    the budget; a fork child finds zeros there.  One that a handler forks in the midst of a
 *           change, which it then goes on with, records nothing.
 * When full of ranges: allocated, but not in use (count.mmap_no_room); of events: a range stays
 *           until mapped_compare misses it, or is as if no door had seen it (count.mmap_lost); of
 *           stacks: [evicted]. */
#ifndef SAMPLER_MAPPED_H
#define SAMPLER_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/generations.h"

/* Counters of a site, objects and bytes as pairs; in use = allocated - freed.  Noted is each call
 * before it is said, then it is allocated or lost. */
enum mapped_value {
	MAPPED_ALLOC_OBJECTS, MAPPED_ALLOC_BYTES, MAPPED_FREE_OBJECTS, MAPPED_FREE_BYTES,
	MAPPED_NOTED_OBJECTS, MAPPED_NOTED_BYTES, MAPPED_LOST_OBJECTS, MAPPED_LOST_BYTES,
};

/* Frames of what no door saw, where samples have a stack: neither pcs nor code. */
#define FRAME_MAPPED_BRK   ((frame_t)3) /* the heap that malloc grows by brk */
#define FRAME_MAPPED_STACK ((frame_t)4) /* of the main thread */
#define FRAME_MAPPED_OTHER ((frame_t)5) /* arenas, large blocks, stacks of threads, .bss */
#define FRAME_MAPPED_OURS  ((frame_t)6) /* what this library has mapped for itself */

extern struct generations mapped_table;

/* 0 or -ENOMEM; then nothing is mapped, and nothing recorded: so it is, too, on a processor that
 * cannot swap a pair (pair.h). */
MUST_CHECK int mapped_init(uint64_t budget_bytes);
/* A fork child: only what it maps itself counts.  mapped_in_child: at once, while self.tid is still
 * that of its parent's thread; mapped_before_settling: before other threads of the child can get a
 * slot. */
void mapped_in_child(void);
void mapped_before_settling(void);
void mapped_after_fork(void);
/* Nothing is recorded from now on. */
void mapped_stop(void);

/* Before the real call that unmaps: what mapped_gone is told. */
uint64_t mapped_ticket(void);
/* [start, start + bytes) is not there any more, or a file. */
void mapped_gone(uintptr_t start, size_t bytes, uint64_t ticket);
/* [start, start + bytes) is new, anonymous, and the caller's.  errno is kept. */
void mapped_new(uintptr_t start, size_t bytes);
/* False: no door has seen any of [start, start + bytes). */
bool mapped_knows(uintptr_t start, size_t bytes);

/* Counts what no door saw, as it is now: a piece of the work, of some 100 us, that all who wait
 * for it share.  *ticket is 0 at first.  Returns 0: it is done; or how many ns later to go on.
 * Context: our thread. */
uint64_t mapped_compare(uint64_t *ticket);

/* --- between mapped.c and mapped_maps.c ------------------------------------------------------ */

void mapped_compare_after_fork(void);

/* How many bytes of [start, end) doors have seen; -EBUSY: somebody else has the table, or there is
 * much to do; -EAGAIN: nothing is recorded. */
MUST_CHECK int64_t mapped_seen(uintptr_t start, uintptr_t end);

#endif
