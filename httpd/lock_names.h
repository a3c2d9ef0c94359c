/* httpd/lock_names.h -- what a lock is called: the global that it is, or is a part of.
 *
 *     hot_lock            a named global, or a static
 *     table+0x40          a lock inside of one
 *     app::cache          C++ and Rust as their programmers wrote it
 *
 * Which object holds an address: that whose image begins closest below it; and of its symbols for
 * data the one that covers it.  A lock on a heap or a stack has no name.
 *
 * Context   our thread, inside a job: it breathes.  Memory of the request's arena.
 * Cost      each object with a lock in it is read through once, its symbols 24 bytes each. */
#ifndef HTTPD_LOCK_NAMES_H
#define HTTPD_LOCK_NAMES_H

#include <stdint.h>

#include "encode/arena.h"
#include "sampler/ground.h"

struct lock_names;

/* Of these addresses, in any order; 0 is none.  NULL if the arena is full. */
struct lock_names *lock_names_make(struct arena *arena, const struct ground *ground,
				   const uint64_t *address, uint32_t count);

/* Its name, or NULL: it has none, or was not among them. */
const char *lock_names_find(const struct lock_names *names, uint64_t address);

#endif
