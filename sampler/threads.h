/* sampler/threads.h -- a slot for each live thread: its timer, its stack's bounds, its scratch.
 *
 * A slot is claimed by the pthread_create door for the thread to be, or by our thread's scan for
 * one that came another way, and released by the thread itself at its end or by the scan.
 *
 * Context   threads_claim, threads_release, threads_enter, threads_leave, threads_mine: any, inside
 *           handlers; lock-free.  threads_each: any.
 * Memory    chunks of THREADS_PER_CHUNK slots, mapped as needed, kept; pages touched as used.
 * When full threads_claim returns NULL and adds to count.thread_no_slot. */
#ifndef SAMPLER_THREADS_H
#define SAMPLER_THREADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/cfi.h"
#include "sampler/compiler.h"
#include "sampler/regs.h"
#include "sampler/unwind.h"

/* Scratch of one kind of sample, so that a handler's own stack stays small; and what sample.c keeps
 * of the last one. */
struct capture {
	struct regs     regs;
	struct cfi_work work;
	uint64_t        seen_version;   /* of the modules, when ... */
	uint32_t        seen;           /* frames of the last stack, */
	bool            seen_truncated; /* which was cut */
	uintptr_t       pc[];           /* threads_depth() of them; then its addresses and nodes */
};

enum capture_kind { CAPTURE_HEAP, CAPTURE_TICK, CAPTURE_KINDS };

struct thread_slot {
	_Atomic uint32_t claimed;
	_Atomic int32_t  tid;           /* 0: the thread has not started yet */
	_Atomic int32_t  timer;         /* CPU timer's id + 1; 0: none, < 0: being made */
	_Atomic bool     held;          /* SIGPROF is blocked: the timer stands still */
	bool             scanned;       /* claimed by the scan, not by the thread or its door */
	uintptr_t        stack_lo, stack_hi;    /* bounds of its stack (unwind.h), 0 unknown */
	size_t           stack_bytes;   /* its size, for the pthread_create door */
	void *(*start)(void *);         /* what the host wants run, for the pthread_create door */
	void            *start_arg;
};

/* depth: frames of a stack.  Once, before the rest. */
void threads_init(unsigned depth);
unsigned threads_depth(void);

struct thread_slot *threads_claim(void);
void threads_release(struct thread_slot *slot);

/* The calling thread begins its life with us: slot is its own from now on, or NULL to look for
 * one that the scan has claimed for it, or to claim one. */
void threads_enter(struct thread_slot *slot);
/* Its end: the slot is free for another, and self.phase is SELF_GONE. */
void threads_leave(void);

/* Scratch of the calling thread; NULL without a slot. */
struct capture *threads_capture(enum capture_kind kind);

/* Calls f for every claimed slot until it returns false. */
void threads_each(bool (*f)(struct thread_slot *slot, void *arg), void *arg);

/* The slot of a thread, or NULL. */
struct thread_slot *threads_find(int tid);

/* A fork child: only the calling thread is left. */
void threads_after_fork(void);

#endif
