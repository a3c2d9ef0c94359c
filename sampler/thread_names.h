/* sampler/thread_names.h -- names of threads as small numbers.
 *
 * A thread asks for its name at its first sample, and again when a door has seen that some name
 * changed; at a tick in any case, because names also change without a door (/proc/.../comm).
 *
 * Context   any thread, inside handlers; lock-free.
 * When full (THREAD_NAMES_MAX distinct names) the answer is 0, "no name", and
 *           count.thread_no_name goes up. */
#ifndef SAMPLER_THREAD_NAMES_H
#define SAMPLER_THREAD_NAMES_H

#include <stdatomic.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/self.h"

#define THREAD_NAME_BYTES 16    /* with the 0 at its end, as prctl(2) has it */

/* How often a door has seen a name change, + 1. */
extern HIDDEN _Atomic uint32_t thread_names_changes;

/* The id of the calling thread's present name: asks the kernel, for self.name. */
uint16_t thread_names_mine(void);

/* The same as far as doors know. */
static inline uint16_t thread_names_now(void)
{
	if (unlikely(self.name_seen !=
		     atomic_load_explicit(&thread_names_changes, memory_order_relaxed)))
		return thread_names_mine();
	return self.name;
}

/* Somebody's name is another now. */
static inline void thread_names_changed(void)
{
	atomic_fetch_add_explicit(&thread_names_changes, 1, memory_order_relaxed);
}

/* The id of a name, a string of less than THREAD_NAME_BYTES; 0 for an empty one. */
uint16_t thread_names_of(const char *name);

/* The name behind an id, "" for 0. */
const char *thread_names_get(uint16_t id);

#endif
