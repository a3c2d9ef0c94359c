/* sampler/looks.h -- what another thread does now, seen from outside, without disturbing it.
 *
 * A thread that is blocked in the kernel gets no signal: the kernel says where its stack is
 * (/proc/.../task/TID/syscall), and a copy of that is walked (parked.h).  That it has not moved
 * meanwhile is seen by its CPU clock, which stands still only while it does not run.  A thread that
 * runs is asked (asks.h) and answers at the kernel's next tick, if it still runs then.
 *
 * Context   our thread; every function returns within some ten microseconds, or some hundred where
 *           a stack is deep or cannot be walked.
 * Memory    a buffer of PARKED_BYTES_MAX, mapped at the first look; only what is used is touched.
 * Errors    by what looks_at returns.  Where it is LOOK_HIDDEN for the first time, a line in the
 *           log. */
#ifndef SAMPLER_LOOKS_H
#define SAMPLER_LOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "sampler/compiler.h"

enum look_how {
	LOOK_BLOCKED,   /* in the kernel: by system call nr (>= 0), or otherwise (nr -1: a page
			 * fault, or stopped).  Letter Z or X: it has ended, and has no stack */
	LOOK_RUNNING,   /* it was asked at an earlier look and has answered: how it was then, while
			 * it ran, at most LOOKS_ANSWER_NS ago; whatever it does by now.  An answer
			 * is given out once */
	LOOK_SILENT,    /* it runs, or waits for a CPU, and no answer is there (yet): look again
			 * after a tick of the kernel's (1 to 10 ms), or report it so.  Our own
			 * thread, too */
	LOOK_HIDDEN,    /* what it does is not to be had: letter, name and CPU time alone */
	LOOK_GONE,      /* there is no such thread any more; nothing else is set */
};

struct look {
	int32_t   tid;
	enum look_how how;              /* as returned */
	char      letter;               /* of proc(5), stat: R S D T t Z X I */
	char      name[16];
	uint64_t  cpu_ns;               /* CPU time.  The same as before: it has not run since */
	uint64_t  wait_ns;              /* so long it has waited for a CPU; 0 where the kernel does
					 * not count that (no schedstat) */
	uint64_t  at_ns;                /* os_monotonic_ns of the look, or of the answer */
	int64_t   nr;                   /* LOOK_BLOCKED: the system call, -1 none */
	uint64_t  arg[6];               /* its, if nr >= 0 */
	uintptr_t sp, pc;               /* LOOK_BLOCKED, as the kernel says; 0 else */
	uintptr_t door;                 /* the innermost frame of this library; 0 none */
	unsigned  depth;                /* addresses in pc[] */
	bool      truncated;            /* the stack does not reach its outermost frame */
};

/* An answer older than this is not taken, but asked for anew. */
#define LOOKS_ANSWER_NS 50000000u

/* pc: room for max addresses, as unwind.h has them (ready for look-up), leaf first, without frames
 * of this library.  A thread that runs is asked, unless it has been. */
enum look_how looks_at(int tid, struct look *out, uintptr_t *pc, unsigned max);
/* The same, but nobody is asked, and no answer taken: one that runs is LOOK_SILENT. */
enum look_how looks_peek(int tid, struct look *out, uintptr_t *pc, unsigned max);

/* True if the thread was LOOK_BLOCKED then and has not run since: a new look would say the same.
 * One system call. */
bool looks_is_same(const struct look *before);

/* Nobody looks any more for now: whoever was asked and has not answered need not.  At the end of
 * each dump; between two ticks of a clock there is no need. */
void looks_rest(void);

/* The threads of this process: looks_list_open, then looks_list_step until it returns 0, then
 * looks_list_close, in any case. */
struct looks_list {
	int     fd;
	int32_t owner;                  /* the thread whose fd that is */
	long    at, have;               /* in buf, bytes */
	_Alignas(8) char buf[1024];
};

/* 0 or -errno. */
MUST_CHECK int looks_list_open(struct looks_list *l);
/* At most max of them into tid[].  Returns how many; 0 at the end, or -errno.  Some 0.2 us for
 * each. */
MUST_CHECK long looks_list_step(struct looks_list *l, int *tid, long max);
void looks_list_close(struct looks_list *l);

#endif
