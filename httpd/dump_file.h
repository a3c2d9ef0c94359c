/* httpd/dump_file.h -- the newest heap profile that a jemalloc in the host, which no door of ours
 * sees, has written of itself: <prefix>.<pid>.<seq>.<kind>.heap, and whole.
 *
 * It is never asked for one.  No moment is right for that: whoever calls mallctl waits for its
 * locks, and our doors are called under them.  (Seen with jemalloc 5.3.0: enabled by mallctl, its
 * background thread is made under ctl_mtx; pthread_create's calloc comes to our door, and "epoch"
 * asked there waits for ever, with all signals blocked.)  Nor is it harmless anywhere else: with
 * 25,000 stacks prof.dump took 50 ms, other threads' malloc waited 12 of them; it takes a
 * descriptor that an exec inherits (creat), 64 KiB of the heap, and SIGXFSZ where RLIMIT_FSIZE is
 * small.  A fork of ours to do it in would break O_DIRECT (open(2), NOTES).
 *
 * Context   our thread, inside a job.
 * Trust     none of what lies in a directory that others may write, too: a dump is a regular file,
 *           no link, of this process's user or of root, and written since this process began.  (Who
 *           had the same id before, as everybody has in a container, left dumps with greater
 *           numbers, and they are of other addresses.)
 * Memory    of the request's arena.
 * When full a file over DUMP_FILE_MAX is not read; what a directory has beyond a million names or
 *           so is not there. */
#ifndef HTTPD_DUMP_FILE_H
#define HTTPD_DUMP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/arena.h"
#include "httpd/dump.h"

#define DUMP_FILE_MAX (256u << 20)      /* 600,000 stacks */
#define DUMP_NAME_MAX 256

struct dump_file {
	char     path[4096 + DUMP_NAME_MAX];
	int64_t  written_s;             /* CLOCK_REALTIME */
	uint64_t rate;
};

/* prefix as jemalloc has it: "jeprof", "/tmp/x"; since_s: CLOCK_REALTIME.  False: there is none
 * that is whole. */
bool dump_file_find(struct arena *arena, const char *prefix, int64_t since_s,
		    struct dump_file *out);
/* Reads it again, for its rows. */
void dump_file_read(struct arena *arena, const struct dump_file *f,
		    void (*row)(void *with, const struct dump_row *row), void *with);

/* --- for tests ------------------------------------------------------------------------------- */

/* True if a file of this name is a dump of process pid; its number. */
bool dump_file_name(const char *name, const char *base, int pid, uint64_t *seq);

#endif
