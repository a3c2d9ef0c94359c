/* httpd/memstats.h -- the end of a heap's text: Go's `# runtime.MemStats`, line by line, with what
 * is known without asking the host's allocator.
 *
 *   Alloc HeapAlloc HeapInuse, TotalAlloc, Mallocs Frees HeapObjects     of our samples
 *   Sys        resident and swapped memory; HeapSys: the anonymous part of it; OtherSys: the rest
 *   HeapIdle   HeapSys without HeapInuse: what free blocks, stacks and mappings have
 *   Stack      of the main thread; MaxRSS as Go's
 *
 * The others are 0, as in a Go program that has never collected.  The kernel's numbers are those of
 * status (proc(5)), 20 us.  smaps_rollup has the same and Pss, but walks the page tables: 0.4 ms of
 * 16 MiB that are resident, 15 to 30 of a GiB, and the host cannot map anything as long.
 *
 * The host's allocator is not asked, neither by our thread nor by one of the host's that is in a
 * door anyway.  All its numbers have locks before them, and a door is not to wait:
 *   glibc      mallinfo2 walks the free chunks of each arena, which is locked: of 1 GiB in blocks
 *              of 16 to 515 bytes 1 us with none freed, 94 ms with each 8th, 330 with each 2nd
 *   jemalloc   mallctl "epoch" takes 7 to 630 us, and ctl_mtx, as does each of "stats.*": in the
 *              tail of a calloc that jemalloc itself has led to, holding it, it waits for ever
 *              (dump_file.h); only "thread.allocatedp" has no lock, and says what samples say
 *   tcmalloc   MallocExtension's numbers take 1 to 10 us under its page heap's lock
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
