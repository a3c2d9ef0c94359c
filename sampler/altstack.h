/* sampler/altstack.h -- is there room for a tick on a thread's alternate stack?
 *
 * Our handler has SA_ONSTACK: where a thread has an alternate stack, the kernel puts its frame
 * there, and ends the process if it does not fit.
 *
 * Context   any, inside handlers. */
#ifndef SAMPLER_ALTSTACK_H
#define SAMPLER_ALTSTACK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a tick needs below the kernel's frame.  scripts/check-stack holds all of our code to it. */
#define ALTSTACK_TICK_BYTES 1024
/* The kernel's frame where it does not say how large: before Linux 5.14 on x86, so with AVX-512 at
 * most, some 3.6 KiB. */
#define ALTSTACK_FRAME_BYTES 4096

/* frame_bytes: AT_MINSIGSTKSZ, 0 unknown.  Once, before the rest. */
void altstack_init(size_t frame_bytes);

/* A tick needs as much, instead of ALTSTACK_TICK_BYTES: code that is not ours is in it.  Once. */
void altstack_need(size_t tick_bytes);

/* True if a tick does not fit on it; a disabled one is never small. */
bool altstack_is_small(const stack_t *ss);

/* True if sp is on it with less than a tick needs below: a handler of the host's has the
 * rest. */
bool altstack_is_full(const stack_t *ss, uintptr_t sp);

#endif
