/* httpd/legacy_words.h -- samples of time in gperftools' binary form: words of the machine.
 *
 *     0 3 0 PERIOD 0           period in us
 *     COUNT DEPTH PC...        for each stack, leaf first: the leaf as it was, of the others what
 *                              they return to
 *     0 1 0
 *
 * and behind it the mappings, as text (legacy_text_mapping).  All that is said of a stack is how
 * many periods it has; so the rest of each is counted with the next one, and the sum is right.
 *
 * Readers drop the second frame where (nearly) all stacks have the same: they take it for that of a
 * signal handler.  There is none in ours, and a small program's main would be gone.  So there are a
 * few stacks of one frame behind the others, that count nothing: enough to be too many.
 *
 * Context   any; pure.
 * Tests     test/unit/legacy_words_test.c */
#ifndef HTTPD_LEGACY_WORDS_H
#define HTTPD_LEGACY_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "encode/buf.h"

/* pprof: one stack in 32 may be another (similarSamples of its legacy_profile.go); google-pprof:
 * none.  One more for each 31 begun is too many in any case. */
#define LEGACY_WORDS_ALIKE 31

struct legacy_words {
	struct buf *b;
	uint64_t    period_ns;
	uint64_t    rest_ns;            /* not counted yet; < period_ns */
	uint64_t    stacks;
	uint64_t    leaf;               /* of the first one */
};

/* period_us >= 1. */
void legacy_words_begin(struct legacy_words *w, struct buf *b, uint64_t period_us);
/* A stack of ns and of call addresses, as in a profile.proto; depth >= 1. */
void legacy_words_add(struct legacy_words *w, uint64_t ns, const uint64_t *address, size_t depth);
void legacy_words_end(struct legacy_words *w);

#endif
