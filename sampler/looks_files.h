/* sampler/looks_files.h -- what the kernel says of a thread of this process, for looks.h: one file
 * each of /proc/thread-self/../TID (proc(5)).
 *
 * Context   our thread.  The parsers are pure.
 * Memory    one descriptor, of the directory of all threads: a path from the root takes twice as
 *           long.
 * Errors    -errno.  -ENOENT and -ESRCH: the thread has gone, or this kernel has no such file. */
#ifndef SAMPLER_LOOKS_FILES_H
#define SAMPLER_LOOKS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/compiler.h"
#include "sampler/looks.h"

/* One of its files, read-only: a descriptor as os_open_at gives it. */
MUST_CHECK int looks_files_open(int tid, const char *file);
/* Fills in letter and name (stat). */
MUST_CHECK int looks_files_state(int tid, struct look *out);
/* nr, arg, sp, pc (syscall).  1; 0: it runs, or could. */
MUST_CHECK int looks_files_call(int tid, struct look *out);
/* Nanoseconds that it has waited for a CPU (schedstat); 0 unknown. */
uint64_t looks_files_wait_ns(int tid);

/* The same from a text. */
MUST_CHECK int looks_files_parse_state(const char *text, size_t len, struct look *out);
MUST_CHECK int looks_files_parse_call(const char *text, size_t len, struct look *out);

#endif
