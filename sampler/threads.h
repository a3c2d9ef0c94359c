/* sampler/threads.h -- a slot for each live thread: its timer, its stack's bounds, what it
 * keeps of its last samples.
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

#include "sampler/compiler.h"
#include "sampler/regs.h"
#include "sampler/scratch.h"
#include "sampler/self.h"
#include "sampler/spent.h"
#include "sampler/unwind_memo.h"

/* What a thread keeps of its last samples of a kind, and where it is while it takes one. */
struct capture {
	struct regs         regs;
	struct scratch_user scratch;
	struct scratch     *ahead;      /* taken by sample_look_ahead; NULL: not yet */
	const uintptr_t    *pc;         /* what a walk found there, leaf first */
	struct thread_slot *slot;
	uint32_t            kind;       /* enum capture_kind */
	uint32_t            seen_max;   /* room for so many ... */
	uintptr_t          *seen_pc;    /* ... addresses and nodes of the last new stack, */
	uint32_t           *seen_node;  /* outermost first */
	uint64_t            seen_version;       /* of the modules, when ... */
	uint64_t            seen_generation;    /* of the nodes, and their table */
	uint32_t            seen;       /* how many */
	bool                seen_truncated;     /* it was cut */
};

/* A thread is in one door at a time; a tick may come while it is there. */
enum capture_kind {
	CAPTURE_DOOR, CAPTURE_TICK, CAPTURE_KINDS,
	CAPTURE_HEAP = CAPTURE_DOOR, CAPTURE_MAPPED = CAPTURE_DOOR, CAPTURE_BLOCK = CAPTURE_DOOR,
	CAPTURE_MUTEX = CAPTURE_DOOR, CAPTURE_CREATE = CAPTURE_DOOR
};

/* Is a sample of one kind being taken?  reclaim.h waits for its end. */
struct thread_visit {
	_Atomic uint32_t beat;          /* odd: yes */
	_Atomic uintptr_t frame;        /* of the function that takes it; 0 unknown */
	struct spent     spent;         /* what it costs, of one in many */
	uint32_t         noted;         /* of our thread: beat, and the CPU time used, then */
	uint64_t         noted_cpu_ns;
};

struct thread_slot {
	uint32_t         number;        /* of the slot, from 0 */
	_Atomic uint32_t forks;         /* of this process' line, when it was claimed */
	_Atomic int32_t  tid;           /* 0: the thread has not started yet, or ends */
	_Atomic int32_t  timer;         /* CPU timer's id + 1; 0: none, < 0: being made */
	_Atomic int32_t  asked;         /* the timer of a question (asks.h), its id + 1; 0: none */
	_Atomic uint64_t due_ns;        /* of its CPU time: its next period is over; 0 unknown */
	_Atomic uint32_t owed;          /* periods over before its timer came (cpu_due.h) */
	uint64_t         perf_ns;       /* period of its event, or of one refused; 0 neither */
	uint16_t         perf;          /* its event's place, + 1 (cpu_perf.h); 0 none */
	int32_t          perf_fd;       /* the descriptor of its last event, + 1; 0 never had one */
	_Atomic uint32_t held;          /* why the timer stands still, and how often that changed */
	uint32_t         seen_open;     /* held, when the last scan saw the thread let SIGPROF in */
	bool             scanned;       /* claimed by the scan, not by the thread or its door */
	bool             no_timer;      /* there was none to be had, and that is counted */
	struct thread_slot *next_by_tid;        /* cpu_scan.c */
	uintptr_t        stack_lo, stack_hi;    /* bounds of its stack (unwind.h), 0 unknown */
	size_t           stack_bytes;   /* its size, for the pthread_create door */
	void *(*start)(void *);         /* what the host wants run, for the door it came by */
	void            *start_arg;
	uint64_t         born_ns;       /* os_monotonic_ns when its door, or the scan, claimed it */
	int32_t          creator;       /* the thread that made it; 0 not seen */
	_Atomic uint32_t birth;         /* its row (births.h); 0: not counted */
	int32_t          still_tid;     /* stills.h: who was seen with this CPU time, since when */
	uint64_t         still_cpu_ns, still_since_ns;
	struct thread_visit visit[CAPTURE_KINDS];
	struct capture   capture[CAPTURE_KINDS];
	struct unwind_memo memo;        /* of both kinds: a tick inside a door does without */
};

/* depth: frames of a stack.  Once, before the rest. */
void threads_init(unsigned depth);
unsigned threads_depth(void);

struct thread_slot *threads_claim(void);
void threads_release(struct thread_slot *slot);

/* The calling thread begins its life with us: slot is its own from now on, or NULL to look for
 * one that the scan has claimed for it, or to claim one. */
void threads_enter(struct thread_slot *slot);
/* The same for who knows its tid, with the slot that its maker has claimed. */
void threads_enter_as(struct thread_slot *slot, int tid);
/* The slot is this thread's. */
void threads_set_tid(struct thread_slot *slot, int tid);
/* Its end: the slot is free for another, and self.phase is SELF_GONE. */
void threads_leave(void);

/* The calling thread's [start, start + bytes) will not be readable.  If that is a part of its own
 * stack, its stack is what is above; the rest is one that nobody knows. */
void threads_cut_stack(uintptr_t start, size_t bytes);

/* True: nothing here makes a system call or hands out a slot or a capture, until false again. */
void threads_seal(bool sealed);
extern HIDDEN _Atomic bool threads_are_sealed;
static inline bool threads_sealed(void)
{
	return unlikely(threads_are_sealed);
}

/* Of the calling thread; NULL without a slot. */
struct capture *threads_capture(enum capture_kind kind);
/* There was a stack of so many frames, more than fit: what was kept is forgotten. */
void threads_make_room(struct capture *c, unsigned frames);
void threads_make_memo_room(struct thread_slot *slot, unsigned frames);

/* The calling thread, which has a slot, takes a sample of this kind, until threads_end.  What our
 * thread does to memory that samples are in, it does before this or after that. */
static inline void threads_begin(enum capture_kind kind)
{
	struct thread_visit *v = &self.slot->visit[kind];
	uint32_t beat = (atomic_load_explicit(&v->beat, memory_order_relaxed) + 1) | 1;

	/* Before the beat, for a handler may jump out at any point: of a visit without a frame it
	 * was never known.  And behind it, for one that has come in between had its own. */
	atomic_store_explicit(&v->frame, (uintptr_t)__builtin_frame_address(0),
			      memory_order_release);
	/* The exchange is a barrier: what is read next was not read before. */
	atomic_exchange(&v->beat, beat);
	atomic_store_explicit(&v->frame, (uintptr_t)__builtin_frame_address(0),
			      memory_order_release);
	v->spent.begin_ns = 0;
	if (unlikely(spent_is_due(beat)))
		spent_begin(&v->spent);
}

static inline void threads_end(enum capture_kind kind)
{
	struct thread_visit *v = &self.slot->visit[kind];

	if (unlikely(v->spent.begin_ns != 0))
		spent_end(&v->spent, kind == CAPTURE_TICK);
	/* The frame stays until then: see above. */
	atomic_store_explicit(&v->beat,
			      (atomic_load_explicit(&v->beat, memory_order_relaxed) | 1) + 1,
			      memory_order_release);
	atomic_store_explicit(&v->frame, 0, memory_order_release);
}

/* True if the visit was left by a jump: who asks stands no deeper in the thread's own stack than
 * the function that began it.  On another stack nobody can tell. */
static inline bool threads_was_left(const struct thread_visit *v, uintptr_t frame)
{
	uintptr_t lo = self.slot->stack_lo, size = self.slot->stack_hi - lo;
	uintptr_t began = atomic_load_explicit(&v->frame, memory_order_relaxed);

	return frame >= began && began - lo < size && frame - lo < size;
}

/* A sample of this kind goes on, or was left. */
static inline bool threads_was_begun(const struct thread_slot *slot, unsigned kind)
{
	return atomic_load_explicit(&slot->visit[kind].beat, memory_order_relaxed) % 2 != 0;
}

/* True between the two.  Both and this are called by one function. */
static inline bool threads_is_in(enum capture_kind kind)
{
	const struct thread_visit *v;

	if (self.slot == NULL)
		return false;
	v = &self.slot->visit[kind];
	return threads_was_begun(self.slot, kind) &&
	       !threads_was_left(v, (uintptr_t)__builtin_frame_address(0));
}

/* Calls f for every claimed slot until it returns false. */
void threads_each(bool (*f)(struct thread_slot *slot, void *arg), void *arg);
/* The same in steps: for numbers below threads_slots(); NULL: not claimed now. */
uint32_t threads_slots(void);
struct thread_slot *threads_at(uint32_t number);

/* True in a vfork child, and in a raw clone that runs on another's thread-local data, or on a copy
 * that libc knows nothing of: self is not the caller's.  Asks the kernel. */
bool threads_elsewhere(void);
/* The same of those that came by a door of ours, which everybody else is spared a system call for:
 * only where another's self does no harm that lasts. */
static inline bool threads_marked_elsewhere(void)
{
	return unlikely(self.shared != SELF_ALONE) && threads_elsewhere();
}

/* The slot of a thread, or NULL.  Of two the newer one: the older one's thread has left without a
 * door, and its tid is another's now. */
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
