/* httpd/unseen.h -- allocators that no door of ours stands in front of: linked into the program, or
 * under names of their own.  The heap profile has nothing of theirs, and says so.
 *
 * Told by the symbols of what is mapped.  Stripped of its local ones, an object keeps what it
 * exports: of an allocator linked into the program that is malloc and its family, of one under
 * another name usually nothing.
 *
 * Context   our thread, inside a job (unseen_look breathes).  Each object is looked at once, in
 *           steps whose state is here: a job that is given up leaves the rest to the next, and a
 *           fork child goes on with it.
 * When full a table of strings over UNSEEN_STRINGS_MAX is not looked through, nor are more names
 *           of an object that end like these than UNSEEN_HITS_MAX: unseen_is_partial says so. */
#ifndef HTTPD_UNSEEN_H
#define HTTPD_UNSEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampler/ground.h"

#define UNSEEN_STRINGS_MAX (64u << 20)  /* of chromium: 45 MB */

#define UNSEEN_HITS_MAX    64           /* the names, and ends of others: "malloc" of "xmalloc" */

struct unseen {
	const char *symbol;             /* "_rjem_malloc" */
	const char *says;
};

/* A jemalloc among them. */
struct unseen_jemalloc {
	const char *conf;               /* the environment variable of its options */
	uintptr_t   prof;               /* bool opt_prof of the host: it samples; 0: not known */
	uintptr_t   prefix;             /* char opt_prof_prefix[], of its files; the same */
};

/* Looks at the objects that came since it was here last. */
void unseen_look(const struct ground *ground);

/* Number i of those found so far; NULL: there are no more. */
const struct unseen *unseen_at(size_t i);

/* True if there may be others that were not found. */
bool unseen_is_partial(void);

/* False: there is none that says who it is. */
bool unseen_jemalloc(struct unseen_jemalloc *out);

#endif
