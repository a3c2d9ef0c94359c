/* sampler/thread_names.h -- names of threads as small numbers.
 *
 * Context   any thread, inside handlers; lock-free.
 * When full (THREAD_NAMES_MAX distinct names) the answer is 0, "no name", and
 *           count.thread_no_name goes up. */
#ifndef SAMPLER_THREAD_NAMES_H
#define SAMPLER_THREAD_NAMES_H

#include <stdint.h>

#define THREAD_NAME_BYTES 16    /* with the 0 at its end, as prctl(2) has it */

/* The id of the calling thread's present name. */
uint16_t thread_names_mine(void);

/* The name behind an id, "" for 0. */
const char *thread_names_get(uint16_t id);

#endif
