/* httpd/legacy_stacks.h -- the samples of a window in gperftools' forms, and the mappings that
 * these end with.
 *
 * Context   our thread, inside a job, in steps; memory of the request's arena.
 * Tests     test/unit/serve_legacy_test.c */
#ifndef HTTPD_LEGACY_STACKS_H
#define HTTPD_LEGACY_STACKS_H

#include "encode/buf.h"
#include "httpd/profiles.h"

/* What a job needs beside its stack: too large for that. */
struct legacy_stacks {
	struct exchange           *x;
	const struct profile_kind *kind;
	struct places             *places;
	struct samples             samples;
	frame_t                    frame[PROFILES_FRAMES_MAX];
	uint64_t                   address[PROFILES_FRAMES_MAX];
	size_t                     depth;
	struct buf                 b;           /* into the answer's body */
	char                       bytes[4096];
};

/* The samples of x->window, the greatest first by this counter.  NULL if the arena is full. */
struct legacy_stacks *legacy_stacks_new(struct exchange *x, const struct profile_kind *kind,
					int by, unsigned counter);

/* What there is now, as text.  NULL also if a window was asked for: that is the answer then. */
struct legacy_stacks *legacy_stacks_now(struct exchange *x, const struct profile_kind *kind,
					int by, unsigned counter);

/* address[0..depth) of a sample, as call addresses: one at least.  False if the arena is full. */
bool legacy_stacks_set(struct legacy_stacks *s, const struct sample *sample);

/* Behind all of them: what is mapped now, and the rest of b. */
void legacy_stacks_end(struct legacy_stacks *s);

#endif
