/* httpd/memstats.h -- the end of a heap's text: Go's `# runtime.MemStats`, line by line, with what
 * is known without asking the host's allocator.
 *
 *   Alloc HeapAlloc HeapInuse, TotalAlloc, Mallocs Frees HeapObjects     of our samples
 *   Sys        resident and swapped memory; HeapSys: the anonymous part of it; OtherSys: the rest
 *   HeapIdle   HeapSys without HeapInuse: what free blocks, stacks and mappings have
 *   Stack      of the main thread; MaxRSS as Go's
 *
 * The others are 0, as in a Go program that has never collected.  The kernel's numbers are those of
 * status (proc(5)): smaps_rollup has the same, and takes 30 ms per GiB for them, in which
 * the host cannot map anything.
 *
 * Context   our thread, inside a job. */
#ifndef HTTPD_MEMSTATS_H
#define HTTPD_MEMSTATS_H

#include <stddef.h>
#include <stdint.h>

#include "encode/buf.h"

/* What the profile says of the whole heap. */
struct memstats_heap {
	int64_t alloc_objects, alloc_bytes;
	int64_t inuse_objects, inuse_bytes;
};

void memstats_write(struct buf *b, const struct memstats_heap *heap);

/* --- for tests ------------------------------------------------------------------------------- */

/* Bytes of the process, 0 where it is not known; and a line that is not read to its end. */
struct memstats_process {
	uint64_t resident, anonymous, swapped, stack;
	char     line[64];
	size_t   line_len;
};

/* Reads on in a text of status. */
void memstats_parse(struct memstats_process *p, const char *text, size_t n);

#endif
