/* sampler/threads.h -- a slot for each live thread: its timer, its stack's bounds, its scratch.
 *
 * A slot is claimed by the pthread_create door for the thread to be, or by our thread's scan for
 * one that came another way, and released by the thread itself at its end or by the scan.
 *
 * Context   threads_claim, threads_release, threads_enter, threads_leave, threads_mine: any, inside
 *           handlers; lock-free.  threads_each: any.
 * Memory    chunks of THREADS_PER_CHUNK slots, mapped as needed, kept; pages touched as used: which
 *           slots are claimed stands elsewhere, so that a walk touches no others.
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
#include "sampler/self.h"
#include "sampler/unwind.h"

/* Scratch of one kind of sample, so that a handler's own stack stays small; and what is kept of the
 * last one. */
struct capture {
	struct regs     regs;
	struct unwind_work work;
	struct unwind_memo memo;
	uint64_t        seen_version;   /* of the modules, when ... */
	uint64_t        seen_generation;        /* of the nodes */
	uint32_t        seen;           /* frames of the last stack, */
	bool            seen_truncated; /* which was cut */
	uintptr_t       pc[];           /* threads_depth() of them; then its addresses, the memo's
					 * frames and its nodes */
};

enum capture_kind {
	CAPTURE_HEAP, CAPTURE_TICK, CAPTURE_MAPPED, CAPTURE_BLOCK, CAPTURE_MUTEX, CAPTURE_KINDS
};

/* Is a sample of one kind being taken?  reclaim.h waits for its end. */
struct thread_visit {
	_Atomic uint32_t beat;          /* odd: yes */
	_Atomic uintptr_t frame;        /* of the function that takes it; 0 unknown */
	uint32_t         noted;         /* of our thread: beat, and the CPU time used, then */
	uint64_t         noted_cpu_ns;
};

struct thread_slot {
	uint32_t         number;        /* of the slot, from 0 */
	_Atomic uint32_t forks;         /* of this process' line, when it was claimed */
	_Atomic int32_t  tid;           /* 0: the thread has not started yet, or ends */
	_Atomic int32_t  timer;         /* CPU timer's id + 1; 0: none, < 0: being made */
	_Atomic uint32_t held;          /* why the timer stands still, and how often that changed */
	uint32_t         seen_open;     /* held, when the last scan saw the thread let SIGPROF in */
	bool             scanned;       /* claimed by the scan, not by the thread or its door */
	bool             no_timer;      /* there was none to be had, and that is counted */
	struct thread_slot *next_by_tid;        /* cpu_scan.c */
	uintptr_t        stack_lo, stack_hi;    /* bounds of its stack (unwind.h), 0 unknown */
	size_t           stack_bytes;   /* its size, for the pthread_create door */
	void *(*start)(void *);         /* what the host wants run, for the pthread_create door */
	void            *start_arg;
	struct thread_visit visit[CAPTURE_KINDS];
};

/* So many bytes more in each capture, at threads_reserved.  Once, before threads_init. */
void threads_reserve(size_t bytes);
void *threads_reserved(struct capture *c);

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

/* The calling thread's [start, start + bytes) will not be readable.  If that is a part of its own
 * stack, its stack is what is above; the rest is one that nobody knows. */
void threads_cut_stack(uintptr_t start, size_t bytes);

/* True: nothing here makes a system call or hands out a slot or scratch, until false again. */
void threads_seal(bool sealed);
bool threads_sealed(void);

/* Scratch of the calling thread; NULL without a slot. */
struct capture *threads_capture(enum capture_kind kind);

/* The calling thread, which has a slot, takes a sample of this kind, until threads_end.  What our
 * thread does to memory that samples are in, it does before this or after that. */
static inline void threads_begin(enum capture_kind kind)
{
	struct thread_visit *v = &self.slot->visit[kind];

	/* That of a sample that was left; before the beat, as a handler may come at any point. */
	atomic_store_explicit(&v->frame, 0, memory_order_release);
	/* The exchange is a barrier: what is read next was not read before. */
	atomic_exchange(&v->beat,
			((atomic_load_explicit(&v->beat, memory_order_relaxed) + 1) | 1));
	atomic_store_explicit(&v->frame, (uintptr_t)__builtin_frame_address(0),
			      memory_order_release);
}

static inline void threads_end(enum capture_kind kind)
{
	struct thread_visit *v = &self.slot->visit[kind];

	atomic_store_explicit(&v->frame, 0, memory_order_release);
	atomic_store_explicit(&v->beat,
			      (atomic_load_explicit(&v->beat, memory_order_relaxed) | 1) + 1,
			      memory_order_release);
}

/* True if the visit was left by a jump: who asks stands no deeper in the thread's own stack than
 * the function that began it.  On another stack nobody can tell. */
static inline bool threads_was_left(const struct thread_visit *v, uintptr_t frame)
{
	uintptr_t lo = self.slot->stack_lo, size = self.slot->stack_hi - lo;
	uintptr_t began = atomic_load_explicit(&v->frame, memory_order_relaxed);

	return frame >= began && began - lo < size && frame - lo < size;
}

/* True between the two.  Both and this are called by one function. */
static inline bool threads_is_in(enum capture_kind kind)
{
	const struct thread_visit *v;

	if (self.slot == NULL)
		return false;
	v = &self.slot->visit[kind];
	return atomic_load_explicit(&v->beat, memory_order_relaxed) % 2 != 0 &&
	       !threads_was_left(v, (uintptr_t)__builtin_frame_address(0));
}

/* Calls f for every claimed slot until it returns false. */
void threads_each(bool (*f)(struct thread_slot *slot, void *arg), void *arg);

/* True in a vfork child, and in a raw clone that runs on another's thread-local data: self is not
 * the caller's. */
bool threads_elsewhere(void);

/* The slot of a thread, or NULL. */
struct thread_slot *threads_find(int tid);

/* A fork child: only the calling thread is left.  Before this no other thread of the child gets a
 * slot: neither libc's own threads nor raw clones know of threads_settle. */
void threads_after_fork(void);

/* Most fork children exec or end at once.  What they inherited of ours lies in pages that they
 * share with their parent, and each page written to is copied: 2 us of a fork that takes 80 to 100.
 * So the child's only thread becomes SELF_CHILD, and f is called when it first needs
 * something of ours: at a tick, in a door; it ends that phase. */
void threads_when_settling(void (*f)(void));
void threads_settle_now(void);

static inline void threads_settle(void)
{
	if (unlikely(self.phase == SELF_CHILD))
		threads_settle_now();
}

#endif
