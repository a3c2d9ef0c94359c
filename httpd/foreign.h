/* httpd/foreign.h -- the heap profile of an allocator that no door of ours sees (unseen.h), where
 * it keeps one and writes it to files: jemalloc with prof:true.  Its newest one is served beside
 * what our doors saw, which are other blocks.
 *
 * Nobody is asked for it (dump_file.h says why): jemalloc writes by itself, every
 * 2^lg_prof_interval bytes, or when the program says so.  What the profile does not have, a comment
 * says, and how to get it.  gperftools' sampled heap can only be had by a call of
 * MallocExtension, which allocates and takes its locks: only named.
 *
 * Left out of differences and of min_age=, for a dump has neither, and of the text.
 *
 * Context   our thread, inside a job; memory of the request's arena.
 * When full at half of the arena the dump's other stacks are left out: a comment says so. */
#ifndef HTTPD_FOREIGN_H
#define HTTPD_FOREIGN_H

#include "encode/buf.h"
#include "httpd/exchange.h"
#include "httpd/writer.h"

#define FOREIGN_LINE_MAX 5120           /* with a path in it */

struct foreign;

/* After unseen_look: what there is.  NULL if the arena is full. */
const struct foreign *foreign_find(struct exchange *x);

/* Line number i of what is to be said; each begins with a word and ": ".  False: there are no
 * more. */
bool foreign_says(const struct foreign *f, unsigned i, struct buf *line);

/* Adds the samples, of the four values of a heap. */
void foreign_add(const struct foreign *f, struct writer *w);

#endif
