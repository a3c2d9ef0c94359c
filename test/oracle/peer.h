/* test/oracle/peer.h -- libunwind's answer for a context of this process.
 *
 * libunwind is not made for handlers: it asks the loader for its list, which takes the loader's
 * locks, it changes the signal mask by libc, and it opens a pipe among the host's descriptors.  Its
 * own copy here is patched after loading: the calls of these functions lead to peer.c, where they
 * are the loader's lock-free _dl_find_object (glibc 2.35), a plain system call, and a pipe with
 * high numbers.  It caches nothing, so nothing it says comes from a library that is gone.
 *
 * Context   peer_open: the constructor.  peer_walk: any, inside handlers, inside malloc. */
#ifndef TEST_ORACLE_PEER_H
#define TEST_ORACLE_PEER_H

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "sampler/regs.h"

enum { PEER_FRAMES = 1024, PEER_STACK = 65536 };

struct peer_walk {
	struct regs regs;		/* where it begins */
	unsigned max;			/* frames, PEER_FRAMES at most */
	unsigned depth;
	bool complete;			/* it found the end */
	uintptr_t pc[PEER_FRAMES];	/* as unwind.h has them */
	ucontext_t context;
	unw_cursor_t cursor;
	char stack[PEER_STACK] __attribute__((aligned(64)));
};

/* NULL, or why there is no libunwind. */
const char *peer_open(void);

/* Walks from w->regs, on w->stack. */
void peer_walk(struct peer_walk *w);

#endif
